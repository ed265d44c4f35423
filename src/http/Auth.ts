/**
 * Who may ask: Nextcloud by AppAPI's shared secret, everybody else by token. Comparisons take the same time for every wrong answer.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSecurity } from "effect/http-api"
import { isLoopback } from "../layers/AppConfig.ts"
import { AppApiAuth, Forbidden, TokenAuth, Unauthorized } from "./Api.ts"
import { Deployment } from "./Deployment.ts"

/** Whatever one side of the comparison is, both have 32 bytes then. */
const digest = (text: string) => createHash("sha256").update(text).digest()

const isSame = (given: string, secret: Redacted.Redacted): boolean =>
  timingSafeEqual(digest(given), digest(Redacted.value(secret)))

/** Lets Nextcloud through: the three headers, our own id, and the secret behind the first colon. */
export const layerAppApi: Layer.Layer<AppApiAuth, never, Deployment> = Layer.effect(
  AppApiAuth,
  Effect.gen(function* () {
    const { appId, appSecret } = yield* Deployment
    return AppApiAuth.of({
      appApi: Effect.fnUntraced(function* (handler, { credential }) {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        if (appSecret === undefined) return yield* new Unauthorized({ error: "APP_SECRET is not set" })
        const proof = Buffer.from(Redacted.value(credential), "base64").toString("utf8")
        const colon = proof.indexOf(":")
        const isProven =
          isSame(proof.slice(colon + 1), appSecret) &&
          colon >= 0 &&
          headers["ex-app-id"] === appId &&
          headers["ex-app-version"] !== undefined &&
          headers["ex-app-version"] !== ""
        if (!isProven) return yield* new Unauthorized({ error: "not authenticated as Nextcloud" })
        return yield* handler
      })
    })
  })
)

/** Lets holders of the token through; without a configured token whoever is on this machine. */
export const layerToken: Layer.Layer<TokenAuth, never, Deployment> = Layer.effect(
  TokenAuth,
  Effect.gen(function* () {
    const { apiToken } = yield* Deployment
    return TokenAuth.of({
      token: (handler, { credential }) => Effect.andThen(admit(apiToken, credential), handler),
      password: (handler, { credential }) => Effect.andThen(admit(apiToken, credential.password), handler)
    })
  })
)

/** The same guard for routes that are not part of the contract: documentation, metrics. */
export const guardRoutes = HttpRouter.middleware<{ handles: never }>()(
  Effect.gen(function* () {
    const { apiToken } = yield* Deployment
    const bearer = HttpApiBuilder.securityDecode(HttpApiSecurity.bearer)
    const password = Effect.map(HttpApiBuilder.securityDecode(HttpApiSecurity.basic), (basic) => basic.password)
    return (route) =>
      Effect.flatMap(bearer, (credential) => admit(apiToken, credential)).pipe(
        Effect.catch(() => Effect.flatMap(password, (credential) => admit(apiToken, credential))),
        Effect.matchEffect({
          onFailure: (refusal) =>
            Effect.succeed(HttpServerResponse.jsonUnsafe({ error: refusal.error }, { status: statusOf(refusal) })),
          onSuccess: () => route
        })
      )
  })
)

const statusOf = (refusal: Unauthorized | Forbidden) => (refusal instanceof Unauthorized ? 401 : 403)

/**
 * A browser sends what it knows of us with any page's requests: what comes from another page is refused, and, where no token protects
 * us, names that are not this machine's (a page may point its own name here).
 */
const admit = Effect.fnUntraced(function* (
  token: Redacted.Redacted | undefined,
  given: Redacted.Redacted
): Effect.fn.Return<void, Unauthorized | Forbidden, HttpServerRequest.HttpServerRequest> {
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const { host, origin } = headers
  if (origin !== undefined && URL.parse(origin)?.host !== host) {
    return yield* new Forbidden({ error: "asked by a page of another origin" })
  }
  if (token === undefined) {
    if (isLoopback(URL.parse(`http://${host}`)?.hostname ?? "")) return
    return yield* new Forbidden({ error: "without LT_API_TOKEN only this machine may ask, as localhost" })
  }
  if (!isSame(Redacted.value(given), token)) {
    return yield* new Unauthorized({ error: "the token of LT_API_TOKEN is needed (Authorization: Bearer …)" })
  }
})
