/**
 * Database in a SQLite file: of this process alone, or of several processes of this machine.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import type { Database, Tables, Trouble } from "./Database.ts"
import { wordsOfCode } from "./DiskTrouble.ts"
import * as NodeSqlite from "./NodeSqlite.ts"

/** https://sqlite.org/rescode.html: BUSY and LOCKED. */
const lockCodes: ReadonlySet<number | string | undefined> = new Set([5, 6])
const FULL = 13
/** CORRUPT and NOTADB. */
const tornCodes: ReadonlySet<number | string | undefined> = new Set([11, 26])
/** ERROR, SCHEMA, CONSTRAINT and MISMATCH: tables that are not ours. What others work with is not called that. */
const foreignCodes: ReadonlySet<number | string | undefined> = new Set([1, 17, 19, 20])
/** READONLY, IOERR, FULL and CANTOPEN in words; the others say enough. */
const words: ReadonlyMap<number | string | undefined, string> = new Map([
  [8, "it can only be read"],
  [10, "the disk cannot be read or written"],
  [FULL, "the disk is full"],
  [14, "it cannot be opened"]
])
const MOVED = 1032

export const make = Effect.fnUntraced(function* (
  file: string,
  isShared: boolean
): Effect.fn.Return<Database, never, Scope.Scope> {
  const { atOnce, close, open, putAside, sql } = yield* NodeSqlite.make(file, { isShared })
  let isOpen = false
  const database: Database = {
    sql,
    name: file,
    isShared,
    open: Effect.tap(open, () =>
      Effect.sync(() => {
        isOpen = true
      })
    ),
    close: Effect.andThen(
      Effect.sync(() => {
        isOpen = false
      }),
      close
    ),
    // It may have been put aside by another process, and lack what this one knows.
    ...(isShared ? { probe: { check: Effect.asVoid(sql`SELECT 1`), every: "1 second" } } : {}),
    again: "5 seconds",
    silence: "the disk does not answer",
    troubleOf: (error) => {
      const trouble = troubleOf(error, isShared)
      return isShared && isOpen && trouble.kind === "Taken" ? { ...trouble, kind: "Held" } : trouble
    },
    putAside: Effect.gen(function* () {
      const aside = `${file}-damaged-${stampOf(yield* Clock.currentTimeMillis)}`
      yield* putAside(aside)
      return aside
    }),
    migrate: (tables) =>
      Effect.forEach(tables, migrated, { discard: true }).pipe(
        sql.withTransaction,
        Effect.provideService(SqlClient.SqlClient, sql)
      ),
    atOnce
  }
  return database
})

const migrated = ({ loader, table }: Tables) => Migrator.make({})({ loader, table })

const troubleOf = (error: Error, isShared: boolean): Trouble => {
  const code = error instanceof SqlError ? NodeSqlite.codeOf(error) : undefined
  const reason = reasonOf(error, code)
  if (lockCodes.has(code)) return { kind: "Taken", reason }
  if (code === FULL) return { kind: "Full", reason }
  if (isMoved(error)) return { kind: "Damaged", reason }
  // What is no error of SQLite comes from making the tables: somebody else's are in the way.
  const isForeign = isShared
    ? error instanceof Migrator.MigrationError
    : !(error instanceof SqlError) || foreignCodes.has(code)
  return { kind: isForeign || tornCodes.has(code) ? "Damaged" : "Unusable", reason }
}

const reasonOf = (error: Error, code: number | string | undefined): string => {
  if (typeof code === "string") return wordsOfCode(code)
  if (lockCodes.has(code)) return "another process holds it for too long"
  if (isMoved(error)) return "another process has put it aside"
  return words.get(code) ?? (error instanceof SqlError ? error.reason.message : undefined) ?? error.message
}

/** What this process has open is not the file any more. */
const isMoved = (error: Error): boolean =>
  error instanceof SqlError &&
  error.reason.cause instanceof NodeSqlite.SqliteFault &&
  error.reason.cause.errno === MOVED

/** 20261121T151812Z, as in a file's name. */
const stampOf = (ms: number) => new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, "")
