/**
 * EngineProbe: asks an engine's server over HTTP whether it is there, without opening a session.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Clock, Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { EngineError } from "../services/SpeechEngine.ts"
import { EngineSocketError, toEngineError } from "./EngineSocket.ts"
import * as RetryAfter from "./RetryAfter.ts"

export interface Options {
  /** Of the page; `ws:` and `wss:` are taken for `http:` and `https:`. */
  readonly url: string
  /** Credentials belong here: nothing of a header is ever quoted. */
  readonly headers?: Readonly<Record<string, string>>
  readonly skipCertVerify?: boolean
}

/** A server on the other side of the earth answers within a second. */
const PATIENCE = "5 seconds"
/** Characters of a page that are read. */
const MOST_CHARS = 64 * 1024

/**
 * The page, as text; empty where the server is up and has no such page. Fails as a session would: with `Refused` where credentials are, `Busy`
 * where it is full, else with `Unreachable`.
 */
export const ask = ({ headers = {}, skipCertVerify, url }: Options): Effect.Effect<string, EngineError> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.get(url.replace(/^ws/i, "http")).pipe(HttpClientRequest.setHeaders(headers))
    const response = yield* client.execute(request)
    const { status } = response
    if (status === 401 || status === 403 || status === 407)
      return yield* refusal("Unauthorized", "the server does not accept our credentials", status)
    if (status === 402 || status === 429 || status >= 500) {
      const retryAfterMs = RetryAfter.msOf(response.headers["retry-after"], yield* Clock.currentTimeMillis)
      return yield* refusal("Rejected", "the server does not take us in", status, retryAfterMs)
    }
    return status === 200 ? (yield* response.text).slice(0, MOST_CHARS) : ""
  }).pipe(
    Effect.catchTag("HttpClientError", (error) =>
      Effect.fail(new EngineError({ reason: "Unreachable", detail: error.reason._tag }))
    ),
    Effect.timeoutOrElse({
      duration: PATIENCE,
      orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "the server did not answer in time" }))
    }),
    // a span would carry our headers to whoever collects it
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    Effect.provide(NodeHttpClient.layerUndiciOptions({ connect: { rejectUnauthorized: skipCertVerify !== true } }))
  )

const refusal = (
  reason: "Unauthorized" | "Rejected",
  detail: string,
  code: number,
  retryAfterMs?: number
): Effect.Effect<never, EngineError> =>
  Effect.fail(toEngineError(new EngineSocketError({ reason, detail, code, ...RetryAfter.part(retryAfterMs) })))
