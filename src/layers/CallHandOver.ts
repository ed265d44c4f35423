/**
 * A call goes from one runner to another without a word lost or said twice: the two sides of it in the call.
 *
 * The one that takes is silent until the other has stopped; the one that gives is silent until the other has announced itself, and goes on by
 * itself when that does not happen. So whatever becomes of either, one of them captions, and never both.
 */
import { Effect, FiberHandle, type Scope, Semaphore } from "effect"
import type * as HandOver from "../domain/HandOver.ts"
import { humansInCall, publishers } from "../domain/Roster.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { SessionFence, SignalingSession } from "../services/Signaling.ts"
import type { CallSink } from "../services/TranscriptSink.ts"
import type { Heir } from "./CallPart.ts"
import type { Answer, RunningCall } from "./CallSeat.ts"
import { HAND_OVER_MS, HandOverRefused } from "./CallSeat.ts"
import type { CallVoices } from "./CallVoices.ts"
import * as VoiceGiven from "./VoiceGiven.ts"

export interface GivingOptions {
  readonly session: Pick<SignalingSession, "state">
  readonly fence: SessionFence
  readonly sink: Pick<CallSink, "unsaid">
  readonly voices: Pick<CallVoices, "given">
}

/** Who has joined may speak after half a second, and what was sent is proven within milliseconds, or the HPB is away. */
const PROVEN_WITHIN = "1500 millis"
const LOOK = "10 millis"

/** The side that gives, for as long as the scope. */
export const giving = Effect.fnUntraced(function* ({
  fence,
  session,
  sink,
  voices
}: GivingOptions): Effect.fn.Return<RunningCall, never, Scope.Scope> {
  const one = Semaphore.makeUnsafe(1)
  const waiting = yield* FiberHandle.make<void, never>()
  const fork = yield* FiberHandle.runtime(waiting)()
  let isGiven = false

  const goOn = Effect.sync(() => {
    isGiven = false
    fence.hold(false)
  })
  const give = Effect.gen(function* () {
    // Who has just joined, or stood still, is muted for a moment; that is no reason to keep the call.
    while (!isGiven && (session.state()._tag !== "Joined" || fence.isMuted())) {
      if (fence.outranked() !== undefined) return yield* new HandOverRefused({ reason: "Over" })
      yield* Effect.sleep(LOOK)
    }
    // What is sent behind this is not sent; what was sent before is proven or said by the other.
    fence.hold(true)
    let unsaid = sink.unsaid?.()
    while (unsaid === undefined) {
      yield* Effect.sleep(LOOK)
      unsaid = sink.unsaid?.()
    }
    const { lost, voices: fitting } = VoiceGiven.within(voices.given())
    const given: HandOver.Left = { voices: fitting, unsaid }
    isGiven = true
    if (lost > 0) yield* Effect.logWarning("too much speech is unsaid to be given away: the longest is lost", { lost })
    fork(Effect.andThen(Effect.sleep(HAND_OVER_MS), goOn))
    return given
  }).pipe(
    Effect.timeoutOrElse({
      duration: PROVEN_WITHIN,
      orElse: () => Effect.fail(new HandOverRefused({ reason: "NotHeard" }))
    }),
    Effect.onExit(() => (isGiven ? Effect.void : goOn))
  )
  return {
    handOver: Effect.suspend(() => {
      if (fence.outranked() !== undefined) return Effect.fail(new HandOverRefused({ reason: "Over" }))
      // whoever asks again may be another: it is given what there is by now
      return sink.unsaid === undefined ? Effect.fail(new HandOverRefused({ reason: "NotHeard" })) : give
    }).pipe(one.withPermits(1))
  }
})

export interface TakingOptions {
  readonly session: Pick<SignalingSession, "state" | "roster">
  readonly now: () => number
  /** Voices with a connected peer, here or at other parts of the call. */
  readonly connected: () => number
  readonly ask: Effect.Effect<Answer>
}

/** Whoever is not heard by then has no microphone that reaches Janus. */
const HEARD_WITHIN_MS = 5_000
/** The HPB says who is in the call right behind its answer that we are in the room; nothing, where nobody is. */
const LISTED_WITHIN_MS = 1_000
const LOOK_AGAIN = "50 millis"
/** So much of each voice is kept before the other is asked: by equal packets it is found where that one stops. */
const KEPT_FIRST = "300 millis"
/** An answer that comes later may be of one that went on. */
const ANSWERED_WITHIN_MS = HAND_OVER_MS - 1_000
/** By what an answer is under way at most. */
const ANSWER_MS = 100

/** The side that takes: waits until everybody is heard, and asks. The moment is when the other stopped, about. */
export const taking = Effect.fnUntraced(function* ({ ask, connected, now, session }: TakingOptions) {
  const untilMs = now() + HEARD_WITHIN_MS
  let joinedMs: number | undefined
  const isListed = () => {
    if (session.state()._tag !== "Joined") return false
    joinedMs ??= now()
    return humansInCall(session.roster()).length > 0 || now() - joinedMs >= LISTED_WITHIN_MS
  }
  const isHearing = () => isListed() && connected() >= publishers(session.roster()).length
  do {
    while (!isHearing() && now() < untilMs) yield* Effect.sleep(LOOK_AGAIN)
    yield* Effect.sleep(KEPT_FIRST)
    // somebody may have come meanwhile
  } while (!isHearing() && now() < untilMs)
  const answer = yield* Effect.timeoutOrElse(ask, {
    duration: ANSWERED_WITHIN_MS,
    orElse: () => Effect.succeed<Answer>({ _tag: "Stays" })
  })
  return { answer, stoppedMs: now() - ANSWER_MS }
})

export interface HeirOptions {
  readonly voices: Pick<CallVoices, "take">
  /** Whether a peer of it is connected. */
  readonly heard: (voice: VoiceKey) => boolean
  readonly now: () => number
}

/** Whoever is not heard by then is asked about once more. */
const KEPT_WITHIN_MS = 1_000

/** The side that takes single voices, of a part of the call. */
export const heir = ({ heard, now, voices }: HeirOptions): Heir => {
  // whoever gives them may not have got the answer
  const taken = new Set<string>()
  return {
    kept: Effect.fnUntraced(function* (wanted) {
      const untilMs = now() + KEPT_WITHIN_MS
      while (!wanted.every(heard) && now() < untilMs) yield* Effect.sleep(LOOK_AGAIN)
      const ready = wanted.filter(heard)
      if (ready.length > 0) yield* Effect.sleep(KEPT_FIRST)
      return ready
    }),
    take: (given) =>
      Effect.sync(() => {
        const stoppedMs = now() - ANSWER_MS
        for (const one of given) if (!taken.has(one.id) && voices.take(one, stoppedMs)) taken.add(one.id)
        return given.flatMap(({ id }) => (taken.has(id) ? [] : [id]))
      })
  }
}
