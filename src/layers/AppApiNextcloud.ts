/**
 * Nextcloud over its OCS interface, with the rights AppAPI gives an ExApp.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Clock, type Duration, Effect, Layer, Metric, Redacted, Schema, Semaphore } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { IceServer, type RoomToken } from "../domain/Call.ts"
import { Nextcloud, NextcloudError } from "../services/Nextcloud.ts"
import * as Metrics from "./Metrics.ts"

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

/** TURN credentials must outlive the connection that is being set up, and settings may change: hpb.md's advice, one hour each. */
const MAX_AGE_MS = 3_600_000
const MIN_REMAINING_MS = 3_600_000
/** Many peers at once ask once, even where credentials are short-lived by nature; an answer without servers is asked again after a minute. */
const MIN_AGE_MS = 5_000
const EMPTY_AGE_MS = 60_000
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
const Text = Schema.optionalKey(Schema.NullOr(Schema.String))
const Server = Schema.Struct({
  urls: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  username: Text,
  credential: Text
})
const readSignaling = answer(
  Schema.Struct({
    stunservers: Schema.optionalKey(Schema.Array(Server)),
    turnservers: Schema.optionalKey(Schema.Array(Server))
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
        iceServers: yield* cachedIceServers((room) =>
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
  return yield* iceServersOf([...(ocs.data.stunservers ?? []), ...(ocs.data.turnservers ?? [])])
})

const decodeServer = Schema.decodeUnknownEffect(IceServer)

/** Servers without a usable URL go (Talk sends an empty list of STUN URLs where there are none); others are counted. */
const iceServersOf = Effect.fnUntraced(function* (given: ReadonlyArray<typeof Server.Type>) {
  const servers: Array<IceServer> = []
  for (const { credential, urls, username } of given) {
    const list = typeof urls === "string" ? [urls] : urls
    if (list.length === 0) continue
    const server = yield* decodeServer({
      urls: list,
      ...(username ? { username } : {}),
      ...(credential ? { credential } : {})
    }).pipe(Effect.option)
    if (server._tag === "Some") servers.push(server.value)
    else yield* Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "nextcloud" }), 1)
  }
  return servers
})

/** When the first of these credentials expires, ms since 1970; coturn's REST scheme puts it before the first colon of the user name. */
const expiryOf = (servers: ReadonlyArray<IceServer>): number =>
  Math.min(
    ...servers.map(({ username }) => {
      const seconds = /^(\d{9,11})(:|$)/.exec(username ?? "")?.[1]
      return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000
    })
  )

interface Fetched {
  readonly servers: ReadonlyArray<IceServer>
  readonly atMs: number
}

/** One answer for all rooms, asked for again when it is old or its credentials run out; one request at a time. */
const cachedIceServers = Effect.fnUntraced(function* (
  fetch: (room: RoomToken) => Effect.Effect<ReadonlyArray<IceServer>, NextcloudError>
) {
  const turn = yield* Semaphore.make(1)
  let last: Fetched | undefined
  return Effect.fn("Nextcloud.iceServers")(function* (room: RoomToken) {
    const nowMs = yield* Clock.currentTimeMillis
    if (last !== undefined && isFresh(last, nowMs)) return last.servers
    const usable = last !== undefined && expiryOf(last.servers) > nowMs ? last : undefined
    return yield* fetch(room).pipe(
      Effect.tap((servers) =>
        Effect.sync(() => {
          last = { servers, atMs: nowMs }
        })
      ),
      // Better yesterday's servers than none, as long as they would still let us in.
      Effect.catch((error) => (usable === undefined ? Effect.fail(error) : Effect.succeed(usable.servers)))
    )
  }, turn.withPermits(1))
})

const isFresh = ({ atMs, servers }: Fetched, nowMs: number): boolean => {
  const ageMs = nowMs - atMs
  if (servers.length === 0) return ageMs < EMPTY_AGE_MS
  const remainingMs = expiryOf(servers) - nowMs
  return ageMs < (remainingMs > MIN_REMAINING_MS ? MAX_AGE_MS : MIN_AGE_MS) && remainingMs > 0
}
