/**
 * The databases that runners can share, each new and empty, for tests that hold with all of them.
 */
import { join } from "node:path"
import { Effect } from "effect"
import type { DatabasePlace } from "../../src/layers/Database.ts"
import { PostgresServer } from "./Postgres.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

const inFile = Effect.map(
  temporaryFolder,
  (folder): DatabasePlace => ({ _tag: "File", file: join(folder, "calls.sqlite"), isShared: true })
)
const onServer = Effect.flatMap(PostgresServer, ({ fresh }) =>
  Effect.map(fresh, (url): DatabasePlace => ({ _tag: "Server", url }))
)

export const sharedDatabases = [
  ["a file", inFile],
  ["PostgreSQL", onServer]
] as const
