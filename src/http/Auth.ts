/**
 * Who may ask over HTTP: Nextcloud by AppAPI's shared secret, everybody else by token (`Access`).
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { type Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSecurity } from "effect/http-api"
import { Access, type AccessRefusal } from "./Access.ts"
import { AppApiAuth, Asking, Forbidden, StreamAuth, TokenAuth, Unauthorized } from "./Api.ts"
import { Deployment } from "./Deployment.ts"
import { digest, hasDigest } from "./Digest.ts"
import { provenanceOf } from "./Origin.ts"

/** Lets Nextcloud through: the three headers, our own id, and the secret behind the first colon. */
export const layerAppApi: Layer.Layer<AppApiAuth, never, Deployment> = Layer.effect(
  AppApiAuth,
  Effect.gen(function* () {
    const { appId, appSecret } = yield* Deployment
    return AppApiAuth.of({
      appApi: Effect.fnUntraced(function* (handler, { credential }) {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        if (appSecret === undefined) return yield* new Unauthorized({ error: "APP_SECRET is not set" })
        const { colon, proof } = proofOf(Redacted.value(credential))
        const isProven =
          hasDigest(proof.slice(colon + 1), digest(Redacted.value(appSecret))) &&
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

/** For whom Nextcloud asks, by its own proof: a user's id; guests have none. */
export const userOf = (headers: Headers.Headers): string | undefined => {
  const { colon, proof } = proofOf(headers["authorization-app-api"] ?? "")
  return colon > 0 ? proof.slice(0, colon) : undefined
}

/** `user:secret`, and where the user ends. */
const proofOf = (credential: string): { readonly proof: string; readonly colon: number } => {
  const proof = Buffer.from(credential, "base64").toString("utf8")
  return { proof, colon: proof.indexOf(":") }
}

/** Lets those through who may control calls, see `Access.admitAdmin`. */
export const layerToken: Layer.Layer<TokenAuth, never, Access> = Layer.effect(
  TokenAuth,
  Effect.gen(function* () {
    const access = yield* Access
    return TokenAuth.of({
      token: (handler, { credential }) => Effect.andThen(admit(access, credential), handler),
      password: (handler, { credential }) => Effect.andThen(admit(access, credential.password), handler)
    })
  })
)

/** Lets everybody through who may stream, and says who it is; in single-user mode whoever is on this machine. */
export const layerStream: Layer.Layer<StreamAuth, never, Access> = Layer.effect(
  StreamAuth,
  Effect.gen(function* () {
    const access = yield* Access
    const asWhoAsks = <A, E, R>(handler: Effect.Effect<A, E, R>, credential: Redacted.Redacted) =>
      provenance.pipe(
        Effect.flatMap((from) => access.admit({ ...from, credential, noneKnown: true })),
        Effect.mapError(asHttpError),
        Effect.flatMap((grant) => Effect.provideService(handler, Asking, grant))
      )
    return StreamAuth.of({
      token: (handler, { credential }) => asWhoAsks(handler, credential),
      apiKey: (handler, { credential }) => asWhoAsks(handler, credential),
      query: (handler, { credential }) => asWhoAsks(handler, credential)
    })
  })
)

/** The same guard as of the service API, for routes that are not part of the contract: documentation, metrics. */
export const guardRoutes = HttpRouter.middleware<{ handles: never }>()(
  Effect.gen(function* () {
    const access = yield* Access
    const bearer = HttpApiBuilder.securityDecode(HttpApiSecurity.bearer)
    const password = Effect.map(HttpApiBuilder.securityDecode(HttpApiSecurity.basic), (basic) => basic.password)
    return (route) =>
      Effect.flatMap(bearer, (credential) => admit(access, credential)).pipe(
        Effect.catch(() => Effect.flatMap(password, (credential) => admit(access, credential))),
        Effect.matchEffect({
          onFailure: (refusal) =>
            Effect.succeed(HttpServerResponse.jsonUnsafe({ error: refusal.error }, { status: statusOf(refusal) })),
          onSuccess: () => route
        })
      )
  })
)

const statusOf = (refusal: Unauthorized | Forbidden) => (refusal instanceof Unauthorized ? 401 : 403)

/** Whoever may control calls. */
const admit = Effect.fnUntraced(function* (
  access: Access["Service"],
  credential: Redacted.Redacted
): Effect.fn.Return<void, Unauthorized | Forbidden, HttpServerRequest.HttpServerRequest> {
  yield* Effect.mapError(access.admitAdmin({ ...(yield* provenance), credential }), asHttpError)
})

const provenance = HttpServerRequest.HttpServerRequest.useSync(({ headers, peerAddress }) =>
  provenanceOf(headers, Option.getOrUndefined(peerAddress))
)

const asHttpError = ({ denial, detail }: AccessRefusal) =>
  denial === "Forbidden" ? new Forbidden({ error: detail }) : new Unauthorized({ error: detail })
