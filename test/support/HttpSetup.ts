/**
 * The HTTP interface on a real port, with calls that only remember and a Nextcloud that answers as told.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Logger, Metric, Redacted } from "effect"
import { HttpClient, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { defaultLanguage, kyutaiLanguages } from "../../src/domain/Language.ts"
import * as Access from "../../src/http/Access.ts"
import { Deployment } from "../../src/http/Deployment.ts"
import * as Quotas from "../../src/http/Quotas.ts"
import * as Server from "../../src/http/Server.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import * as MemoryViewerLanguages from "../../src/layers/MemoryViewerLanguages.ts"
import type { Calls } from "../../src/services/Calls.ts"
import type { CaptionFeed } from "../../src/services/CaptionFeed.ts"
import { Engines } from "../../src/services/Engines.ts"
import { Nextcloud, NextcloudError } from "../../src/services/Nextcloud.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

export const appSecret = "s3cret:with:colons"
export const apiToken = "t0ken"

export type Given = Partial<Deployment["Service"]>

/** Nothing configured: single-user mode. */
export const accessSettings: Access.AccessSettings = {
  allowedOrigins: undefined,
  apiToken: undefined,
  jwtAudience: "transcribe",
  jwtPublicKey: undefined,
  jwtSecret: undefined,
  maxStreams: 200,
  minutesPerDay: undefined,
  storage: undefined,
  streamsPerToken: 20,
  tokensFile: undefined
}

/** Who may ask: whoever has `apiToken`, unless it says otherwise. */
export const access = (given: Partial<Access.AccessSettings> = {}) =>
  Layer.unwrap(
    Effect.map(temporaryFolder, (storage) =>
      Layer.orDie(Access.layer({ ...accessSettings, apiToken: Redacted.make(apiToken), storage, ...given }))
    )
  )

/** Streams and minutes, counted in a folder of their own. */
export const quotas = (maxStreams = 200) =>
  Layer.unwrap(Effect.map(temporaryFolder, (storage) => Quotas.layer({ maxStreams, storage })))

export const deployment = (given: Given = {}) =>
  Layer.succeed(Deployment, {
    appId: "live_transcription",
    version: "1.2.3",
    appSecret: Redacted.make(appSecret),
    languages: kyutaiLanguages,
    defaultLanguage,
    missing: [],
    ...given
  })

const away = Effect.fail(new NextcloudError({ reason: "NotConfigured", detail: "no Nextcloud in this test" }))

export const nextcloud = (given: Partial<Nextcloud["Service"]> = {}) =>
  Layer.succeed(Nextcloud, {
    reportInit: () => away,
    enabled: away,
    absoluteUrl: away,
    iceServers: () => away,
    ...given
  })

interface Setup {
  readonly calls: Layer.Layer<Calls>
  readonly given?: Given
  readonly access?: Partial<Access.AccessSettings>
  readonly nextcloud?: Layer.Layer<Nextcloud>
  /** In place of no call at all. */
  readonly captions?: Layer.Layer<CaptionFeed>
  readonly engines?: Engines["Service"]
  readonly quotas?: Layer.Layer<Quotas.Quotas>
  /** In place of silence: loggers, tracers. */
  readonly watching?: Layer.Layer<never>
}

const dependencies = (setup: Setup) => {
  const watching = setup.watching ?? Logger.layer([])
  return Layer.mergeAll(
    setup.calls,
    MemoryViewerLanguages.layer,
    deployment(setup.given),
    Layer.provide(access(setup.access), watching),
    setup.quotas ?? quotas(),
    setup.nextcloud ?? nextcloud(),
    setup.captions ?? HubCaptionFeed.layer,
    Layer.succeed(Engines, setup.engines ?? []),
    Layer.succeed(Metric.MetricRegistry, new Map()),
    watching
  )
}

/** Nextcloud's listener and a client that knows where it is. */
export const exApp = (setup: Setup) =>
  Layer.provide(Server.exAppRoutes, dependencies(setup)).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

/** Everybody else's. */
export const service = (setup: Setup) =>
  Layer.provide(Server.serviceRoutes, dependencies(setup)).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

export const appApiHeaders = (secret = appSecret, user = ""): Record<string, string> => ({
  "EX-APP-ID": "live_transcription",
  "EX-APP-VERSION": "1.0.0",
  "AUTHORIZATION-APP-API": Buffer.from(`${user}:${secret}`).toString("base64")
})

export const bearer = { authorization: `Bearer ${apiToken}` }

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, string | undefined>>
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "HEAD"

/** Asks, and insists that what comes back is JSON as Talk needs it. */
export const ask = Effect.fnUntraced(function* (
  method: Method,
  path: string,
  options: { readonly body?: unknown; readonly raw?: string; readonly headers?: Record<string, string> } = {}
) {
  const request = HttpClientRequest.make(method)(path, { headers: options.headers ?? {} }).pipe((made) =>
    options.body !== undefined
      ? HttpClientRequest.bodyJsonUnsafe(made, options.body)
      : options.raw !== undefined
        ? HttpClientRequest.bodyText(made, options.raw, "application/json")
        : made
  )
  const response = yield* HttpClient.execute(request)
  return yield* answerOf(response)
})

const answerOf = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
  if (response.headers["content-type"]?.startsWith("application/json") !== true) {
    return yield* Effect.die(new Error(`not JSON: ${response.status} ${response.headers["content-type"]}`))
  }
  const body: unknown = yield* response.json
  const answer: Answer = { status: response.status, body, headers: response.headers }
  return answer
})
