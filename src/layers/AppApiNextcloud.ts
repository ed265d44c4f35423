/**
 * Nextcloud over its OCS interface, with the rights AppAPI gives an ExApp.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { type Duration, Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { Nextcloud, NextcloudError } from "../services/Nextcloud.ts"
import * as NextcloudIceServers from "./NextcloudIceServers.ts"

export interface Options {
  /** As AppAPI hands it out: with or without `/` or `/index.php` at its end. Absent: every call fails with `NotConfigured`. */
  readonly url: string | undefined
  readonly appId: string
  readonly appVersion: string
  readonly appSecret: Redacted.Redacted | undefined
  /** AppAPI's own version, sent back as it came. */
  readonly aaVersion: string
  readonly skipCertVerify: boolean
}

/** For everything but the report of the end of init. */
const PATIENCE: Duration.Input = "10 seconds"
/** Reporting 100 makes AppAPI call `/heartbeat` (up to 600 times) and `/enabled` (60 s) before it answers. */
const INIT_PATIENCE: Duration.Input = "3 minutes"

const STATE_PATH = "/ocs/v1.php/apps/app_api/ex-app/state"
const STATUS_PATH = "/ocs/v1.php/apps/app_api/ex-app/status"
const ABSOLUTE_URL_PATH = "/ocs/v2.php/apps/app_api/api/v1/info/nextcloud_url/absolute"
const SIGNALING_PATH = "/ocs/v2.php/apps/spreed/api/v3/signaling/settings"

const answer = <Data extends Schema.Constraint>(data: Data) =>
  Schema.decodeUnknownEffect(
    Schema.Struct({
      ocs: Schema.Struct({ meta: Schema.optionalKey(Schema.Struct({ status: Schema.String })), data })
    })
  )
const readAnything = answer(Schema.Unknown)
const readState = answer(Schema.Union([Schema.Literals([0, 1]), Schema.Literals(["0", "1"]), Schema.Boolean]))
const readAbsoluteUrl = answer(Schema.Struct({ absolute_url: Schema.String }))
const readSignaling = answer(
  Schema.Struct({
    stunservers: Schema.optionalKey(Schema.Array(NextcloudIceServers.Server)),
    turnservers: Schema.optionalKey(Schema.Array(NextcloudIceServers.Server))
  })
)

/** Speaks to Nextcloud through its own connection pool. */
export const layer = (options: Options): Layer.Layer<Nextcloud> =>
  layerNoClient(options).pipe(
    Layer.provide(NodeHttpClient.layerUndiciOptions({ connect: { rejectUnauthorized: !options.skipCertVerify } }))
  )

/** The same over a given client. */
export const layerNoClient = (options: Options): Layer.Layer<Nextcloud, never, HttpClient.HttpClient> =>
  Layer.effect(
    Nextcloud,
    Effect.gen(function* () {
      const send = yield* sender(options)
      const get = (path: string, query: Record<string, string> = {}) =>
        send(HttpClientRequest.get(path).pipe(HttpClientRequest.setUrlParams({ format: "json", ...query })), PATIENCE)
      return {
        reportInit: (progress, error) =>
          send(
            HttpClientRequest.put(STATUS_PATH).pipe(
              HttpClientRequest.bodyJsonUnsafe(error === undefined ? { progress } : { progress, error })
            ),
            INIT_PATIENCE
          ).pipe(Effect.flatMap(understood(readAnything)), Effect.asVoid),
        enabled: get(STATE_PATH).pipe(
          Effect.flatMap(understood(readState)),
          Effect.map(({ ocs }) => ocs.data === true || Number(ocs.data) === 1)
        ),
        absoluteUrl: get(ABSOLUTE_URL_PATH, { url: "/" }).pipe(
          Effect.flatMap(understood(readAbsoluteUrl)),
          // Without overwrite.cli.url only what we sent comes back.
          Effect.filterOrFail(
            ({ ocs }) => /^https?:\/\//.test(ocs.data.absolute_url),
            () => new NextcloudError({ reason: "Unreadable", detail: "overwrite.cli.url is not set" })
          ),
          Effect.map(({ ocs }) => withoutTail(ocs.data.absolute_url))
        ),
        iceServers: yield* NextcloudIceServers.cached((room) =>
          get(SIGNALING_PATH).pipe(
            // Talk 23.0.3 and 22.0.11 refuse the request without a room.
            Effect.filterOrElse(
              (response) => !isRefusal(response),
              () => get(SIGNALING_PATH, { token: room })
            ),
            Effect.flatMap(iceServersFrom)
          )
        )
      }
    })
  )

/** Sends requests with an ExApp's headers, under Nextcloud's address. */
const sender = Effect.fnUntraced(function* (options: Options) {
  const client = yield* HttpClient.HttpClient
  const { appSecret, url } = options
  return Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest, patience: Duration.Input) {
    if (url === undefined || appSecret === undefined) {
      return yield* new NextcloudError({ reason: "NotConfigured", detail: "NEXTCLOUD_URL and APP_SECRET are not set" })
    }
    return yield* client
      .execute(
        request.pipe(
          HttpClientRequest.prependUrl(withoutTail(url)),
          HttpClientRequest.setHeaders({
            "AA-VERSION": options.aaVersion,
            "EX-APP-ID": options.appId,
            "EX-APP-VERSION": options.appVersion,
            // No user before the colon: we act as the app itself.
            "AUTHORIZATION-APP-API": Buffer.from(`:${Redacted.value(appSecret)}`).toString("base64"),
            "OCS-APIRequest": "true",
            Accept: "application/json"
          })
        )
      )
      .pipe(
        Effect.timeout(patience),
        Effect.catchTags({
          HttpClientError: (error) => Effect.fail(unreachable(error)),
          TimeoutError: () => Effect.fail(new NextcloudError({ reason: "Unreachable", detail: "no answer in time" }))
        }),
        // A span would carry our headers to whoever collects it.
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
      )
  })
})

/** The kind of failure only: its text may contain the request. */
const unreachable = (error: HttpClientError.HttpClientError) =>
  new NextcloudError({ reason: "Unreachable", detail: error.reason._tag })

const isRefusal = (response: HttpClientResponse.HttpClientResponse) => response.status >= 400 && response.status < 500

const unreadable = () => new NextcloudError({ reason: "Unreadable", detail: "not the answer of this interface" })

/** Reads an answer; OCS version 1 says 200 for everything, its own status tells. */
const understood =
  <A extends { readonly ocs: { readonly meta?: { readonly status: string } } }, E>(
    read: (body: unknown) => Effect.Effect<A, E>
  ) =>
  (response: HttpClientResponse.HttpClientResponse): Effect.Effect<A, NextcloudError> =>
    response.status >= 200 && response.status < 300
      ? response.json.pipe(
          Effect.flatMap(read),
          Effect.mapError(unreadable),
          Effect.filterOrFail(
            ({ ocs }) => ocs.meta === undefined || ocs.meta.status === "ok",
            () => new NextcloudError({ reason: "Status", detail: "refused by OCS" })
          )
        )
      : Effect.fail(new NextcloudError({ reason: "Status", detail: String(response.status) }))

const withoutTail = (url: string): string =>
  url
    .replace(/\/+$/, "")
    .replace(/\/index\.php$/, "")
    .replace(/\/+$/, "")

const iceServersFrom = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
  if (isRefusal(response)) {
    const { status } = response
    yield* Effect.logWarning("Nextcloud refuses its signaling settings, going on without STUN and TURN", { status })
    return []
  }
  const { ocs } = yield* understood(readSignaling)(response)
  return yield* NextcloudIceServers.read([...(ocs.data.stunservers ?? []), ...(ocs.data.turnservers ?? [])])
})
