/**
 * Addresses of a PostgreSQL as libpq writes them: postgres://user:password@host:5432/database?sslmode=verify-full
 */
import type { NetConnectOpts } from "node:net"
import { Redacted } from "effect"
import { isLoopback } from "./Loopback.ts"

const PORT = 5432
/** sql-pg checks the certificate with all of the last three. */
const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
const KEEP_ALIVE_MS = 10_000

/** `undefined` when it is none, or names no database, or something in it cannot be read. */
export const parse = (given: string): Redacted.Redacted | undefined => {
  const url = URL.parse(given)
  if (url === null || !["postgres:", "postgresql:"].includes(url.protocol)) return undefined
  const sslMode = url.searchParams.get("sslmode") ?? "disable"
  if (!SSL_MODES.includes(sslMode)) return undefined
  try {
    const [host, user, , database] = [hostOf(url), url.username, url.password, url.pathname.slice(1)].map(
      decodeURIComponent
    )
    const isComplete =
      host !== "" &&
      (user !== "" || url.searchParams.has("user")) &&
      (database !== "" || url.searchParams.has("dbname"))
    return isComplete && portOf(url) > 0 ? Redacted.make(given) : undefined
  } catch {
    return undefined
  }
}

/** Where to connect to; `host=/folder` is libpq's way to name a socket of this machine. */
export const destinationOf = (given: Redacted.Redacted): NetConnectOpts => {
  const url = new URL(Redacted.value(given))
  const host = decodeURIComponent(hostOf(url))
  const port = portOf(url)
  if (host.startsWith("/")) return { path: `${host}/.s.PGSQL.${port}` }
  return { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
}

/** For log lines: no user, no password. */
export const nameOf = (given: Redacted.Redacted): string => {
  const url = new URL(Redacted.value(given))
  return `${decodeURIComponent(hostOf(url))}:${portOf(url)}/${url.searchParams.get("dbname") ?? url.pathname.slice(1)}`
}

/** Whether the server is reached without a network. */
export const isLocal = (given: Redacted.Redacted): boolean => {
  const host = decodeURIComponent(hostOf(new URL(Redacted.value(given))))
  return host.startsWith("/") || isLoopback(host)
}

/** Whether what is written there crosses a network as it is. */
export const isPlain = (given: Redacted.Redacted): boolean =>
  !isLocal(given) && !new URL(Redacted.value(given)).searchParams.has("sslmode")

/** As in `[::1]`. */
const hostOf = (url: URL): string => url.searchParams.get("host") ?? url.hostname.replace(/^\[(.*)\]$/, "$1")

const portOf = (url: URL): number => {
  const port = Number(url.searchParams.get("port") ?? (url.port === "" ? PORT : url.port))
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0
}
