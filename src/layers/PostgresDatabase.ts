/**
 * Database in PostgreSQL, for runners on several machines.
 */
import type { NetConnectOpts } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import type { Database, Trouble } from "./Database.ts"
import * as PostgresSocket from "./PostgresSocket.ts"

/** The server ends a statement by itself, and a transaction of a process that says nothing: its locks are in the way of all others. */
const STATEMENT_MS = 2000
const IDLE_IN_TRANSACTION_MS = 3000
/** Longer than the server's own limits, so that a slow statement does not cost the connection. */
const PATIENCE_MS = 3000
const CONNECT = "2 seconds"
/** A runner writes little: one for what it writes, one for what it reads, one that Effect's cluster keeps for its locks. */
const CONNECTIONS = 5
/** That a machine at the other end of an idle connection is gone shows after this and what the system adds. */
const KEEP_ALIVE_MS = 10_000
const PORT = 5432
/** Any number, the same in all versions: whoever makes or changes tables holds the advisory lock of this name. */
const MIGRATION_LOCK = 7_232_811

/** `url`: postgres://user:password@host:port/database, with libpq's sslmode; `DatabaseUrl` has checked it. */
export const make = Effect.fnUntraced(function* (
  url: Redacted.Redacted
): Effect.fn.Return<Database, never, Scope.Scope> {
  const to = destinationOf(url)
  const sql = yield* PgClient.make({
    url,
    stream: () => PostgresSocket.open({ to, patienceMs: PATIENCE_MS }),
    applicationName: "parlance",
    connectTimeout: CONNECT,
    maxConnections: CONNECTIONS,
    startupParameters: {
      statement_timeout: String(STATEMENT_MS),
      idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS)
    }
    // It connects when a statement is to be run, and says then what is wrong.
  }).pipe(Effect.provide(Reactivity.layer), Effect.orDie)
  const check = Effect.asVoid(sql`SELECT 1`)
  const database: Database = {
    sql,
    name: `PostgreSQL (${nameOf(url)})`,
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

/** Where to connect to; `host=/folder` is libpq's way to name a socket of this machine. */
const destinationOf = (url: Redacted.Redacted): NetConnectOpts => {
  const { hostname, port, searchParams } = new URL(Redacted.value(url))
  const host = searchParams.get("host") ?? decodeURIComponent(hostname).replace(/^\[(.*)\]$/, "$1")
  const number = Number(searchParams.get("port") ?? (port === "" ? PORT : port))
  if (host.startsWith("/")) return { path: `${host}/.s.PGSQL.${number}` }
  return { host, port: number, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
}

const nameOf = (url: Redacted.Redacted): string => {
  const { pathname } = new URL(Redacted.value(url))
  const to = destinationOf(url)
  const where = "path" in to ? to.path : `${to.host}:${to.port}`
  return `${where}${pathname}`
}

const troubleOf = (error: Error): Trouble => ({ kind: "Unusable", reason: reasonOf(error) })

/** By the kind of the error, else in PostgreSQL's words: they name tables and settings, never a password. */
const reasonOf = (error: Error): string => {
  const { cause } = error
  if (!(error instanceof SqlError)) return cause instanceof Error ? reasonOf(cause) : error.message
  const { _tag, cause: told, message } = error.reason
  const code = told instanceof Error && "code" in told ? told.code : undefined
  if (code === "ECONNREFUSED") return "the server refuses connections"
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "its host name is not known"
  if (_tag === "AuthenticationError") return "the server does not accept this user and password"
  if (_tag === "StatementTimeoutError" || _tag === "LockTimeoutError") return "the server takes too long"
  if (message.includes("timed out")) return "the server does not answer"
  return told instanceof Error ? told.message : message
}
