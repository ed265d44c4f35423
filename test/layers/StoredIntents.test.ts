import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { Everyone, type Intent, RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as NodeSqlite from "../../src/layers/NodeSqlite.ts"
import * as StoredIntents from "../../src/layers/StoredIntents.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

/** One process after the other with the same file. */
const process = <A>(file: string, body: (intents: StoredIntents.StoredIntents) => Effect.Effect<A, unknown>) =>
  Effect.gen(function* () {
    const { open, sql } = yield* NodeSqlite.make(file)
    yield* open
    yield* Migrator.make({})({ loader: StoredIntents.migrations, table: "migrations" }).pipe(
      Effect.provideService(SqlClient.SqlClient, sql)
    )
    return yield* body(yield* StoredIntents.make(sql))
  }).pipe(Effect.scoped)

describe("an intent on the disk", () => {
  it.live("comes back as it was, with where its call may be heard", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "calls.sqlite")
      const intents: ReadonlyArray<Intent> = [
        { room: RoomToken.make("ward"), viewer: Everyone, language: defaultLanguage, privacy: "local-only" },
        { room: RoomToken.make("press"), viewer: Everyone, language: defaultLanguage }
      ]
      yield* process(file, (stored) => {
        for (const intent of intents) stored.record(intent, true)
        return stored.write
      })
      const found = yield* process(file, (stored) => stored.load)
      assert.sameDeepMembers([...found], [...intents])
    })
  )
})
