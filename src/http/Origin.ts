/**
 * Where a request comes from: a page of ours or of others, this machine or another.
 *
 * A browser sends what it knows of us with any page's requests, so pages of other origins are refused unless an admin has listed them; and
 * a page may point its own name at 127.0.0.1, so "this machine" is only who also calls it by a name of its own.
 */
import { isLoopback } from "../layers/Loopback.ts"

/** What a connection says of where it comes from. */
export interface Provenance {
  readonly origin: string | undefined
  readonly host: string | undefined
  /** Absent where it is not known, or is a proxy's. */
  readonly peerAddress: string | undefined
}

/** Headers with which a proxy says that it asks for somebody else. */
const forwarding = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]

/** From a request's headers (names in lower case) and the address at the other end of its connection. */
export const provenanceOf = (
  headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>,
  peerAddress: string | undefined
): Provenance => {
  const text = (name: string) => {
    const value = headers[name]
    return typeof value === "string" ? value : undefined
  }
  const isForwarded = forwarding.some((name) => headers[name] !== undefined)
  return { origin: text("origin"), host: text("host"), peerAddress: isForwarded ? undefined : peerAddress }
}

/** Whether no page asks, or one of this very host, or one that was allowed. */
export const isWelcome = ({ host, origin }: Provenance, allowed: ReadonlyArray<string>): boolean =>
  origin === undefined ||
  allowed.includes(origin) ||
  (host !== undefined && URL.parse(origin)?.host === host.toLowerCase())

/** Whether the connection comes from this machine and calls it by a name of this machine. */
export const isThisMachine = ({ host, peerAddress }: Provenance): boolean =>
  isLoopback(peerAddress?.replace(/^::ffff:/i, "") ?? "") && isLoopback(URL.parse(`http://${host}`)?.hostname ?? "")
