/**
 * STUN and TURN servers as Nextcloud's signaling settings hold them: what is usable of them, and for how long.
 */
import { Clock, Effect, Metric, Schema, Semaphore } from "effect"
import { IceServer, type RoomToken } from "../domain/Call.ts"
import type { NextcloudError } from "../services/Nextcloud.ts"
import * as Metrics from "./Metrics.ts"

const Text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** One entry, as it comes. */
export const Server = Schema.Struct({
  urls: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  username: Text,
  credential: Text
})

/** TURN credentials must outlive the connection that is being set up, and settings may change: an hour each. */
const MAX_AGE_MS = 3_600_000
const MIN_REMAINING_MS = 3_600_000
/** Many peers at once ask once, also where credentials are short-lived by nature, and where Nextcloud does not answer. */
const MIN_AGE_MS = 5_000
/** Whoever has no servers will not have some in a moment. */
const EMPTY_AGE_MS = 60_000

const decode = Schema.decodeUnknownEffect(IceServer)

/** Servers without a URL go (Talk sends such an entry where there is no STUN server); impossible ones go too and are counted. */
export const read = Effect.fnUntraced(function* (given: ReadonlyArray<typeof Server.Type>) {
  const servers: Array<IceServer> = []
  for (const { credential, urls, username } of given) {
    const list = typeof urls === "string" ? [urls] : urls
    if (list.length === 0) continue
    const server = yield* decode({
      urls: list,
      ...(username ? { username } : {}),
      ...(credential ? { credential } : {})
    }).pipe(Effect.option)
    if (server._tag === "Some") servers.push(server.value)
    else yield* Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "nextcloud" }), 1)
  }
  return servers
})

interface Fetched {
  readonly servers: ReadonlyArray<IceServer>
  readonly atMs: number
}

/**
 * One answer for all rooms, asked for again when it is old or its credentials run out; one request at a time. While Nextcloud is away the
 * last answer serves for as long as its credentials would still let us in.
 */
export const cached = Effect.fnUntraced(function* (
  fetch: (room: RoomToken) => Effect.Effect<ReadonlyArray<IceServer>, NextcloudError>
) {
  const turn = yield* Semaphore.make(1)
  let last: Fetched | undefined
  let failure: { readonly error: NextcloudError; readonly atMs: number } | undefined

  const ask = Effect.fnUntraced(function* (room: RoomToken) {
    const servers = yield* fetch(room).pipe(
      Effect.tapError((error) =>
        Effect.map(Clock.currentTimeMillis, (atMs) => {
          failure = { error, atMs }
        })
      )
    )
    last = { servers, atMs: yield* Clock.currentTimeMillis }
    failure = undefined
    return servers
  })

  return Effect.fn("Nextcloud.iceServers")(function* (room: RoomToken) {
    const nowMs = yield* Clock.currentTimeMillis
    if (last !== undefined && isFresh(last, nowMs)) return last.servers
    const usable = last !== undefined && expiryOf(last.servers) > nowMs ? last.servers : undefined
    // Those who waited for their turn do not each wait for an answer that did not come.
    const asked = failure !== undefined && nowMs - failure.atMs < MIN_AGE_MS ? Effect.fail(failure.error) : ask(room)
    return yield* usable === undefined ? asked : Effect.orElseSucceed(asked, () => usable)
  }, turn.withPermits(1))
})

/** When the first of these credentials expires, ms since 1970; coturn's REST scheme puts it before the first colon of the user name. */
export const expiryOf = (servers: ReadonlyArray<IceServer>): number =>
  Math.min(
    ...servers.map(({ username }) => {
      const seconds = /^(\d{9,11})(:|$)/.exec(username ?? "")?.[1]
      return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000
    })
  )

const isFresh = ({ atMs, servers }: Fetched, nowMs: number): boolean => {
  const ageMs = nowMs - atMs
  if (servers.length === 0) return ageMs < EMPTY_AGE_MS
  const remainingMs = expiryOf(servers) - nowMs
  return ageMs < (remainingMs > MIN_REMAINING_MS ? MAX_AGE_MS : MIN_AGE_MS) && remainingMs > 0
}
