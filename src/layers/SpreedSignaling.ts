/**
 * Signaling over the websocket of Talk's High-Performance Backend.
 *
 * Each room has a loop which opens one connection after the other (`SpreedConnection`) and waits between them; what the messages mean
 * is `SpreedRoom`'s. `SpreedAdmission` and `SpreedMarks` are shared by all rooms.
 */
import { Effect, Layer, Random, type Scope } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { Rank } from "../domain/Seat.ts"
import { Signaling, type SignalingSession } from "../services/Signaling.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as SpreedAdmission from "./SpreedAdmission.ts"
import * as SpreedConnection from "./SpreedConnection.ts"
import * as SpreedMarks from "./SpreedMarks.ts"
import * as SpreedReach from "./SpreedReach.ts"
import * as SpreedRoom from "./SpreedRoom.ts"

export interface SpreedOptions extends SpreedConnection.ConnectionOptions {
  /** Names under which the HPB may know Nextcloud, in order (`backendCandidates`); asked for again until one was accepted. */
  readonly backendUrls: Effect.Effect<ReadonlyArray<string>>
}

/** The HPB keeps a session so long after its socket was lost. */
const resumableForMs = 30_000
const firstWaitMs = 250
const waitGrowth = 1.5
/** After a connection that came to nothing. */
const lastWaitMs = 10_000
/** After a dial that nobody answered, from its beginning: an HPB that is back is found within two seconds. */
const lastAwayMs = 1_500
/** A connection that was in the room for so long ended the trouble before it: after the next cut it is dialled at once again. */
const healthyAfterMs = 5_000
/** Rooms which wait for the same moment do not all dial in it. */
const spreadMs = 5_000

/** Joins rooms of one HPB. Nothing is dialled before the first `join`. */
export const layer = (options: SpreedOptions): Layer.Layer<Signaling> =>
  Layer.effect(
    Signaling,
    Effect.gen(function* () {
      const admission = yield* SpreedAdmission.make(options.backendUrls)
      const hpb: SpreedConnection.Hpb = { options, admission, reach: yield* SpreedReach.make }
      const marks = yield* SpreedMarks.make((token, onTransient) =>
        Effect.gen(function* () {
          const room = yield* SpreedRoom.make(token, { onTransient })
          yield* carry(hpb, room)
          return room.session
        })
      )
      return {
        join: Effect.fn("Signaling.join")((room: RoomToken, rank?: () => Rank | undefined) =>
          join(hpb, marks, room, rank)
        ),
        refusal: admission.refusal
      }
    })
  )

const join = Effect.fnUntraced(function* (
  hpb: SpreedConnection.Hpb,
  marks: SpreedMarks.SpreedMarks,
  token: RoomToken,
  rank: (() => Rank | undefined) | undefined
): Effect.fn.Return<SignalingSession, never, Scope.Scope> {
  const secret = hpb.options.internalSecret
  const room = yield* SpreedRoom.make(token, rank === undefined ? {} : { fence: { rank, secret } })
  yield* carry(hpb, room)
  return { ...room.session, ...(yield* marks.open(room)) }
})

/** Carries the room for as long as the scope, over one connection after the other. */
const carry = Effect.fnUntraced(function* (
  hpb: SpreedConnection.Hpb,
  room: SpreedRoom.SpreedRoom
): Effect.fn.Return<void, never, Scope.Scope> {
  const now = yield* monotonicMs
  let lostAtMs = 0
  let failures = 0

  /** One connection from dial to loss; the result is how long to wait for the next, ms. */
  const connect = Effect.gen(function* () {
    const dialledAtMs = now()
    const resumeId = dialledAtMs - lostAtMs < resumableForMs ? room.resumeId() : undefined
    const end = yield* Effect.flip(SpreedConnection.carry(hpb, room, resumeId))
    const endedAtMs = now()
    if (end._tag === "Refused") {
      room.refuse(end)
      const untilMs = end.untilMs - endedAtMs
      return untilMs + (yield* Random.nextBetween(0, Math.min(spreadMs, untilMs)))
    }
    const wasJoined = room.drop(end)
    if (wasJoined) lostAtMs = endedAtMs
    // Said when it begins; while the HPB is away it would be said every ten seconds for every room.
    yield* Effect.logWithLevel(wasJoined || failures === 0 ? "Info" : "Debug")("HPB connection lost", {
      reason: end.message
    })
    if (wasJoined && endedAtMs - dialledAtMs >= healthyAfterMs) failures = 0
    const wait = firstWaitMs * waitGrowth ** failures * (yield* Random.nextBetween(0.8, 1))
    failures += 1
    if (end.reason !== "Unreachable") return Math.min(lastWaitMs, wait)
    return Math.max(firstWaitMs, Math.min(lastAwayMs, wait) - (endedAtMs - dialledAtMs))
  })
  yield* connect.pipe(Effect.flatMap(Effect.sleep), Effect.forever, Effect.forkScoped)
})
