/**
 * What a client of a streaming socket shows with its request, wherever its dialect has it.
 */
import type { IncomingHttpHeaders } from "node:http"
import { Redacted } from "effect"
import type { CredentialPlaces } from "./Dialect.ts"

/** The first that is there. */
export const credentialIn = (
  { headers, query }: { readonly headers: IncomingHttpHeaders; readonly query: URLSearchParams },
  places: CredentialPlaces
): Redacted.Redacted | undefined => {
  const { headers: names = [], notInQuery = false, query: keys = [], subprotocolPrefix } = places
  const found = [
    bearer(headers.authorization),
    ...names.map((name) => text(headers[name])),
    behindPrefix(protocolsIn(headers), subprotocolPrefix),
    ...keys.map((key) => query.get(key)),
    notInQuery ? undefined : query.get("token")
  ].find((given) => given !== undefined && given !== null && given !== "")
  return found ? Redacted.make(found) : undefined
}

/**
 * The subprotocol to answer with: browsers hang up when they offered some and none was chosen. Never a credential.
 */
export const chooseSubprotocol = (
  offered: ReadonlySet<string>,
  { credentials, subprotocol }: { readonly credentials: CredentialPlaces; readonly subprotocol?: string }
): string | false => {
  if (subprotocol !== undefined && offered.has(subprotocol)) return subprotocol
  const { subprotocolPrefix } = credentials
  return [...offered].find((one) => subprotocolPrefix === undefined || !one.startsWith(subprotocolPrefix)) ?? false
}

const text = (header: string | ReadonlyArray<string> | undefined) => (typeof header === "string" ? header : undefined)

const bearer = (header: string | undefined) => header?.match(/^bearer +(\S+) *$/i)?.[1]

const protocolsIn = (headers: IncomingHttpHeaders) =>
  (headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim())

const behindPrefix = (protocols: ReadonlyArray<string>, prefix: string | undefined) =>
  prefix === undefined ? undefined : protocols.find((one) => one.startsWith(prefix))?.slice(prefix.length)
