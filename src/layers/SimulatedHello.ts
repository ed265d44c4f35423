/**
 * Who is let in to the simulated HPB, and with which words.
 */
import { createHmac, randomBytes } from "node:crypto"
import { Redacted } from "effect"
import { featuresOf, type Hello, type HpbVersion } from "./SimulatedProtocol.ts"

export interface HelloRules {
  readonly internalSecret: Redacted.Redacted
  /** The only backend that is accepted, by its beginning; any when absent. */
  readonly backend?: string
  readonly version: HpbVersion
}

/** The error code for a hello that is not accepted; the token is checked before the backend. */
export const refusalOf = ({ hello }: Hello, { backend, internalSecret, version }: HelloRules): string | undefined => {
  if (hello.auth === undefined || (version === "0.4.1" && hello.version !== "1.0")) return "invalid_format"
  if (hello.auth.type !== "internal") return "invalid_client_type"
  const { params } = hello.auth
  const expected = createHmac("sha256", Redacted.value(internalSecret)).update(params.random).digest("hex")
  if (Buffer.byteLength(params.random) < 32 || params.token !== expected) return "invalid_token"
  const isAccepted = backend === undefined || slashed(params.backend).startsWith(slashed(backend))
  return isAccepted ? undefined : "invalid_backend"
}

const slashed = (url: string) => (url.endsWith("/") ? url : `${url}/`)

export const answerTo = (
  hello: Hello,
  session: { readonly id: string; readonly resumeId: string },
  version: HpbVersion
) => ({
  ...withId(hello.id),
  type: "hello",
  hello: {
    version: "1.0",
    sessionid: session.id,
    resumeid: session.resumeId,
    userid: "",
    server: { version, features: featuresOf(version) }
  }
})

export const withId = (id: string | undefined) => (id === undefined ? {} : { id })

/** As long as the real ids, which carry an encrypted payload. */
export const randomId = () => randomBytes(96).toString("base64url")
