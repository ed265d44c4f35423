/**
 * What every answer of both listeners has in common: errors are `{"error": "…"}` as JSON with the right status, bodies are small,
 * a known path asked with the wrong method is 405. Nothing of a defect is told to the caller.
 */
import { ByteSize, Cause, Effect, SchemaIssue } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiError, type HttpApiGroup } from "effect/http-api"

/** Talk's largest request has a few hundred bytes; a service caller's TURN servers a few thousand. */
const MAX_BODY_BYTES = 64 * 1024

const meanings: Readonly<Record<number, string>> = {
  400: "the request cannot be read",
  404: "there is no such route",
  405: "this route does not take this method",
  413: "the body is larger than 64 KiB",
  415: "the body must be application/json",
  500: "internal error",
  503: "shutting down"
}

const refusal = (status: number, text = meanings[status] ?? "refused", headers: Record<string, string> = {}) =>
  HttpServerResponse.jsonUnsafe({ error: text }, { status, headers })

/** Installs this for all routes of a listener. `challenge` goes with every 401, for browsers. */
export const layer = (options: { readonly challenge?: string } = {}) =>
  HttpRouter.middleware(
    (route) =>
      HttpServerRequest.HttpServerRequest.pipe(
        Effect.flatMap(({ headers }) =>
          Number(headers["content-length"] ?? 0) > MAX_BODY_BYTES
            ? Effect.succeed(refusal(413, undefined, { connection: "close" }))
            : route
        ),
        Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(MAX_BODY_BYTES)),
        Effect.catchCause(explain),
        Effect.map(asJson),
        Effect.map((response) =>
          response.status === 401 && options.challenge !== undefined
            ? HttpServerResponse.setHeader(response, "www-authenticate", options.challenge)
            : response
        )
      ),
    { global: true }
  )

/** Answers 405, with what would be right, for every path of the contract and of `others` (paths that only take GET). */
export const methodNotAllowed = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  others: ReadonlyArray<Path> = []
) =>
  HttpRouter.use((router) => {
    const allowed = new Map<Path, Set<string>>(others.map((path) => [path, new Set(["GET"])]))
    HttpApi.reflect(api, {
      onGroup: () => {},
      onEndpoint: ({ endpoint: { method, path } }) => {
        if (isPath(path)) allowed.set(path, new Set([...(allowed.get(path) ?? []), method]))
      }
    })
    return Effect.forEach(
      allowed,
      ([path, taken]) => {
        const answer = refusal(405, undefined, { allow: [...taken].join(", ") })
        return Effect.forEach(
          methods.filter((method) => !taken.has(method)),
          (method) => router.add(method, path, answer),
          { discard: true }
        )
      },
      { discard: true }
    )
  })

type Path = `/${string}`
const isPath = (path: string): path is Path => path.startsWith("/")

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Any failure as an answer. What is our own fault is logged, with its cause and without the request. */
const explain = (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(HttpServerError.causeResponse(cause), ([response, remaining]) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(remaining)
    const unreadable = cause.reasons.map(issueOf).find((text) => text !== undefined)
    if (unreadable !== undefined) return Effect.succeed(refusal(400, unreadable))
    const answer = Effect.succeed(refusal(response.status))
    return response.status < 500 ? answer : Effect.andThen(Effect.logError("request failed", cause), answer)
  })

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Which field is wrong, and what was expected; never what was given. */
const issueOf = (reason: Cause.Reason<unknown>): string | undefined => {
  const error = reason._tag === "Die" ? reason.defect : undefined
  if (!HttpApiError.HttpApiSchemaError.is(error) || error.kind === "Body" || error.kind === "ResponseHeaders") {
    return undefined
  }
  return formatIssues(error.cause.issue)
    .issues.map(({ message, path = [] }) => {
      const field = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".")
      return field === "" ? message : `${field}: ${message}`
    })
    .join("; ")
}

/** Errors of the framework come as plain text or with nothing at all. */
const asJson = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  response.status < 400 || response.headers["content-type"]?.startsWith("application/json") === true
    ? response
    : refusal(response.status)
