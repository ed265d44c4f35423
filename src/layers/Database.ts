/**
 * The database of this process: a file that it has for itself, a file that several processes of a machine share, or PostgreSQL for several
 * machines. One SqlClient for all; `KeptDatabase` says when it can be used.
 */
import { type Duration, Effect, type Redacted, type Scope } from "effect"
import type * as Migrator from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import * as SqliteDatabase from "./SqliteDatabase.ts"

export type DatabasePlace =
  /** `isShared`: several processes of this machine work with it. */
  | { readonly _tag: "File"; readonly file: string; readonly isShared: boolean }
  /** postgres://user:password@host:port/database?sslmode=verify-full */
  | { readonly _tag: "Server"; readonly url: Redacted.Redacted }

export interface Database {
  /** While it is not open statements fail. None stays without an answer for longer than a few seconds. */
  readonly sql: SqlClient.SqlClient
  /** What log lines call it; without a password. */
  readonly name: string
  /** Other processes read and write it, too. */
  readonly isShared: boolean
  /** Begins anew: with a new file where there is none. For `KeptDatabase` alone, as is all that follows except the last two. */
  readonly open: Effect.Effect<void, SqlError>
  readonly close: Effect.Effect<void>
  /** Whether it still answers, to be asked so often; absent where only writing shows that. */
  readonly probe?: { readonly check: Effect.Effect<void, SqlError>; readonly every: Duration.Input }
  readonly troubleOf: (error: Error) => Trouble
  /** How soon to try again. */
  readonly again: Duration.Input
  /** What is said of it while it does not answer at all; in lower case. */
  readonly silence: string
  /** Gives a damaged file another name, which it returns. */
  readonly putAside?: Effect.Effect<string, Error>
  /** All of it or nothing, and only what is missing. May be called by many processes at once, on an empty database too. */
  readonly migrate: (tables: ReadonlyArray<Tables>) => Effect.Effect<void, Migrator.MigrationError | SqlError>
  /**
   * One transaction, as short as it can be: nobody waits for this process while it is busy or frozen. No statement depends on the rows of
   * another. Gives the rows of each.
   */
  readonly atOnce: (
    statements: ReadonlyArray<Statement.Statement<unknown>>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError>
}

/** A group of tables, and the table that says how far they are made. */
export interface Tables {
  readonly table: string
  readonly loader: Migrator.Loader
}

/**
 * `Taken`: another process has the file for itself. `Held`: another one is in the way for a moment. `Damaged`: nothing but a new file helps.
 * `Full`: it can be read, and written to when there is room.
 */
export interface Trouble {
  readonly kind: "Taken" | "Held" | "Damaged" | "Full" | "Unusable"
  /** In words for an admin, in lower case. */
  readonly reason: string
}

export const make = (place: DatabasePlace): Effect.Effect<Database, never, Scope.Scope> =>
  place._tag === "File"
    ? SqliteDatabase.make(place.file, place.isShared)
    : // 8 MB, which most have no use for
      Effect.flatMap(
        Effect.promise(() => import("./PostgresDatabase.ts")),
        ({ make }) => make(place.url)
      )
