/**
 * Database in PostgreSQL, for runners on several machines.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, type Redacted, type Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import type { Database, Trouble } from "./Database.ts"
import * as PostgresSocket from "./PostgresSocket.ts"
import * as PostgresUrl from "./PostgresUrl.ts"

/** The server ends a statement by itself, and a transaction of a process that says nothing: its locks are in the way of all others. */
const STATEMENT_MS = 2000
const IDLE_IN_TRANSACTION_MS = 3000
/** Longer than the server's own limits, so that a slow statement does not cost the connection. */
const PATIENCE_MS = 3000
const CONNECT = "2 seconds"
/** A runner writes little: one for what it writes, one for what it reads, one that Effect's cluster keeps for its locks. */
const CONNECTIONS = 5
/** Any number, the same in all versions: whoever makes or changes tables holds the advisory lock of this name. */
const MIGRATION_LOCK = 7_232_811

/** `url`: postgres://user:password@host:port/database, as `PostgresUrl` has read it. */
export const make = Effect.fnUntraced(function* (
  url: Redacted.Redacted
): Effect.fn.Return<Database, never, Scope.Scope> {
  if (PostgresUrl.isPlain(url)) {
    yield* Effect.logWarning(
      `What is written to PostgreSQL (${PostgresUrl.nameOf(url)}) crosses the network unencrypted: sslmode=verify-full in LT_DATABASE_URL encrypts it, sslmode=disable says that this is meant so.`
    )
  }
  const sockets = PostgresSocket.make({ to: PostgresUrl.destinationOf(url), patienceMs: PATIENCE_MS })
  const sql = yield* PgClient.make({
    url,
    stream: sockets.open,
    applicationName: "parlance",
    connectTimeout: CONNECT,
    maxConnections: CONNECTIONS,
    startupParameters: {
      statement_timeout: String(STATEMENT_MS),
      idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS)
    }
    // It connects when a statement is to be run, and says then what is wrong.
  }).pipe(Effect.provide(Reactivity.layer), Effect.orDie)
  // Before the connections are closed, which waits for the answers that are still to come.
  yield* Effect.addFinalizer(() => Effect.sync(sockets.cutOff))
  const check = Effect.asVoid(sql`SELECT 1`)
  const database: Database = {
    sql,
    name: `PostgreSQL (${PostgresUrl.nameOf(url)})`,
    isShared: true,
    open: check,
    close: Effect.void,
    probe: { check, every: "1 second" },
    again: "1 second",
    silence: "the server does not answer",
    troubleOf,
    migrate: (tables) =>
      Effect.andThen(
        sql`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`,
        Effect.forEach(tables, ({ loader, table }) => Migrator.make({})({ loader, table }), { discard: true })
      ).pipe(sql.withTransaction, Effect.provideService(SqlClient.SqlClient, sql)),
    atOnce: (statements) => sql.withTransaction(Effect.forEach(statements, (statement) => statement))
  }
  return database
})

const troubleOf = (error: Error): Trouble => ({ kind: "Unusable", reason: reasonOf(error) })

/** By the kind of the error, else in PostgreSQL's words: they name tables and settings, never a password. */
const reasonOf = (error: Error): string => {
  const { cause } = error
  if (!(error instanceof SqlError)) return cause instanceof Error ? reasonOf(cause) : error.message
  const { _tag, cause: told, message } = error.reason
  const code = told instanceof Error && "code" in told ? told.code : undefined
  if (code === "ECONNREFUSED") return "the server refuses connections"
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "its host name is not known"
  // 28000 is about everything else: which hosts may connect, and whether unencrypted
  if (_tag === "AuthenticationError" && code !== "28000") return "the server does not accept this user and password"
  if (_tag === "StatementTimeoutError" || _tag === "LockTimeoutError") return "the server takes too long"
  if (message.includes("timed out")) return "the server does not answer"
  return told instanceof Error ? told.message : message
}
