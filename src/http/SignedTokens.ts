/**
 * Tokens that an application of the admin's signs (JWT): HS256 with a shared secret, RS256 with a key pair of which we know the public half.
 */
import { createPublicKey, type KeyObject } from "node:crypto"
import { Clock, Effect, FileSystem, Option, Redacted, Schema } from "effect"
import { jwtVerify } from "jose"
import { ConfigurationError } from "../layers/ConfigurationError.ts"
import { Allowance, type Defaults, type Grant, streaming } from "./Grant.ts"

export interface SignedTokensOptions {
  readonly jwtSecret: Redacted.Redacted | undefined
  /** PEM text, or where it is. */
  readonly jwtPublicKey: string | undefined
  readonly jwtAudience: string
}

/** What a token says; who signs decides what is in it. */
const Claims = Schema.Struct({
  sub: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200)),
  /** Seconds since 1970. */
  exp: Schema.Finite,
  ...Allowance.fields
})
const decode = Schema.decodeUnknownEffect(Claims)

/** RFC 7518 §3.3. */
const LEAST_RSA_BITS = 2048

/**
 * Gives the grant of a token that is signed with a key of ours and the one algorithm of that key, names our audience, and has not ended;
 * `exp` and `sub` must be there. What the token's own header says can only make it invalid.
 */
export const make = Effect.fnUntraced(function* (options: SignedTokensOptions, defaults: Defaults) {
  const { jwtAudience, jwtPublicKey, jwtSecret } = options
  const verifiers: ReadonlyArray<{ readonly algorithm: string; readonly key: Uint8Array | KeyObject }> = [
    ...(jwtSecret === undefined
      ? []
      : [{ algorithm: "HS256", key: new TextEncoder().encode(Redacted.value(jwtSecret)) }]),
    ...(jwtPublicKey === undefined ? [] : [{ algorithm: "RS256", key: yield* publicKey(jwtPublicKey) }])
  ]
  return Effect.fnUntraced(function* (token: string): Effect.fn.Return<Grant | undefined> {
    // Header, claims, signature.
    if (token.split(".").length !== 3) return undefined
    const currentDate = new Date(yield* Clock.currentTimeMillis)
    const attempts = verifiers.map(({ algorithm, key }) =>
      Effect.option(
        Effect.tryPromise(() =>
          jwtVerify(token, key, {
            algorithms: [algorithm],
            audience: jwtAudience,
            currentDate
          })
        ).pipe(Effect.flatMap(({ payload }) => decode(payload)))
      )
    )
    const claims = (yield* Effect.all(attempts)).find(Option.isSome)?.value
    if (claims === undefined) return undefined
    return { ...streaming(claims.sub, claims, defaults), expiresAtMs: claims.exp * 1000 }
  })
})

const unusable = (detail: string) => new ConfigurationError({ detail: `LT_JWT_PUBLIC_KEY ${detail}` })

/** Text in an environment variable often has its line breaks written out. */
const pemOf = Effect.fnUntraced(function* (given: string) {
  if (given.includes("-----BEGIN")) return given.replaceAll("\\n", "\n")
  const files = yield* FileSystem.FileSystem
  return yield* Effect.mapError(files.readFileString(given), ({ reason }) =>
    unusable(`names a file that cannot be read (${given}: ${reason._tag})`)
  )
})

const publicKey = Effect.fnUntraced(function* (given: string) {
  const pem = yield* pemOf(given)
  // OpenSSL would make a public key of it; whoever configured it should learn that it lies here.
  if (pem.includes("PRIVATE KEY")) return yield* unusable("must be the public key, not the private one")
  const key = yield* Effect.try({
    try: () => createPublicKey(pem),
    catch: () => unusable("is not a public key in PEM")
  })
  if (key.asymmetricKeyType !== "rsa" || (key.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS) {
    return yield* unusable(`must be an RSA key of ${LEAST_RSA_BITS} bits or more`)
  }
  return key
})
