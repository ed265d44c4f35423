/**
 * VoiceConversation: one open session with an engine as one voice uses it: catch up, send, flush at pauses, notice that it has fallen silent,
 * and know when to close.
 */
import { Effect, Latch, Metric, type Scope } from "effect"
import { type AudioFrame, FRAME_SAMPLES } from "../domain/Audio.ts"
import type { EndCause } from "../domain/Speech.ts"
import { EngineError } from "../services/SpeechEngine.ts"
import * as CatchUp from "./CatchUp.ts"
import type { EngineLink } from "./EngineLink.ts"
import * as Metrics from "./Metrics.ts"
import * as Standstill from "./Standstill.ts"
import * as Ticker from "./Ticker.ts"
import type { VoiceLine } from "./VoiceLine.ts"

/** After the last flush; a session is never held longer than 60 s without speech. */
const IDLE_MS = 30_000
/** Speech that stopped without an end is taken for ended after this, and so are words that came after the flush. */
const STALE_MS = 2_000
/** How often it is looked whether something has become due that nobody rings for. */
const LOOK_MS = 1_000
const SOON_MS = 50
/** Nobody can be asked at the moment: how soon again, and for how long when the voice is over. */
const RETRY_MS = 250
const LAST_AUDITION_MS = 5_000
/**
 * Parts of a session's longest life: from the first on it is renewed at the next pause, at the second in any case. Who makes no pause is
 * heard twice for a while then, so of many that began together each is renewed at a moment of its own in the two minutes before.
 */
const RENEW_AT_PAUSE = 25 / 30
const RENEW_ANYHOW = 29 / 30
const RENEW_SPREAD = 2 / 30
/** Somebody better is ready, and the speaker makes no pause. */
const PATIENCE_FOR_PAUSE_MS = 30_000

/**
 * How a conversation ended. `Closed`: everything that was sent was flushed. `Left`: in the middle of speech, for another session that is to hear
 * again what is not proven. `Relieved`: for a second session that already has.
 */
export type Outcome<Relief> =
  | { readonly _tag: "Closed"; readonly cause: EndCause }
  | { readonly _tag: "Left" }
  | { readonly _tag: "Relieved"; readonly by: Relief }

export interface Conversation<Relief> {
  readonly line: VoiceLine
  readonly link: EngineLink
  readonly now: () => number
  /** Every stretch of speech in the backlog is flushed, not only the last. */
  readonly utterances: boolean
  /** Milliseconds when the open segment last changed; absent while none is open. Whoever opens one rings the line. */
  readonly openTextMs: () => number | undefined
  /** Words that came after the last flush seem to be complete. */
  readonly onPause: () => void
  /** Audio was lost before it could be sent; `isFirst`: before anything was. */
  readonly onLost: (position: number, samples: number, isFirst: boolean) => void
  /** From now on the session may end without having been lost. */
  readonly onClosing: (cause: EndCause) => void
  /** Another engine could go on in place of this one. */
  readonly hasOther: () => boolean
  /** Since when another session would be better, ms; absent while none would. */
  readonly betterSinceMs: () => number | undefined
  /** Somebody else hears again what this session may have missed. Nothing comes of it when nobody can, or this session speaks meanwhile. */
  readonly audition: Effect.Effect<Relief | "Acquitted" | undefined>
}

/**
 * Sends what the voice says until there is a reason to end the session. Frames in the backlog go first, in order. Fails with `Silent` when the
 * engine gives no sign of life; that a session broke otherwise is learned from its link.
 */
export const conduct = Effect.fnUntraced(function* <Relief extends object>(
  conversation: Conversation<Relief>
): Effect.fn.Return<Outcome<Relief>, EngineError, Scope.Scope> {
  const { line } = conversation
  yield* Effect.addFinalizer(() => Effect.sync(line.disconnect))
  const rounds = yield* makeRounds(conversation)
  const talk = Effect.andThen(catchUp(conversation), untilReasonToClose(conversation, rounds))
  return yield* Effect.raceAllFirst([talk, watch(conversation, rounds), rounds.run])
})

/**
 * One timer of the process looks at the time for all conversations, and wakes nobody for whom nothing is due: most are silent, and a fiber that is
 * woken once a second costs as much as all words.
 */
interface Rounds {
  readonly run: Effect.Effect<never>
  /** From now on the line is rung in each round in which this is so. */
  readonly ringWhen: (isDue: () => boolean) => void
  /** The next one is not later, ms. */
  readonly nextMs: () => number
  /** At the end of the one in which this process had stood still last, ms. */
  readonly stoodMs: () => number
  /** Waits for the next in which this is so, but for those in which this process had stood still: what the engine said meanwhile is read first. */
  readonly nextWhen: (isDue: () => boolean) => Effect.Effect<void>
}

const makeRounds = Effect.fnUntraced(function* <Relief>({ line, link, now }: Conversation<Relief>) {
  const ticker = yield* Ticker.every(SOON_MS)
  const bell = Latch.makeUnsafe(false)
  const dueIn = () => Math.min(LOOK_MS, Math.max(SOON_MS, link.watch().dueInMs(now())))
  let dueMs = now() + dueIn()
  let stoodMs = 0
  let isLineDue = () => false
  let isBellDue = () => false
  const round = () => {
    const stood = Standstill.isMissed(now() - dueMs)
    dueMs = now() + LOOK_MS
    if (stood) stoodMs = now()
    else if (isBellDue()) bell.openUnsafe()
    if (isLineDue()) line.ring()
    dueMs = now() + dueIn()
  }
  const rounds: Rounds = {
    run: Effect.callback((resume) => {
      const look = () => {
        try {
          round()
          ticker.rest(look, dueMs)
        } catch (bug) {
          ticker.remove(look)
          resume(Effect.die(bug))
        }
      }
      ticker.add(look)
      ticker.rest(look, dueMs)
      return Effect.sync(() => ticker.remove(look))
    }),
    ringWhen: (isDue) => {
      isLineDue = isDue
    },
    // it may have to wait for the ticker
    nextMs: () => dueMs + SOON_MS,
    stoodMs: () => stoodMs,
    nextWhen: (isDue) => {
      isBellDue = isDue
      return Effect.tap(bell.await, () => bell.close)
    }
  }
  return rounds
})

/** Sends the backlog, then connects the line. */
const catchUp = Effect.fnUntraced(function* <Relief>({ line, link, now, onLost, utterances }: Conversation<Relief>) {
  const metrics = yield* Effect.context<never>()
  const backlog = line.backlog()
  const tell = Effect.suspend(() => {
    const lost = backlog.lost()
    if (lost === undefined) return Effect.void
    onLost(lost.position, lost.samples, !link.feed.hasSent())
    return Metric.update(
      Metric.withAttributes(Metrics.drops, { reason: "ring_overwritten" }),
      lost.samples / FRAME_SAMPLES
    )
  })
  const deliver = (frame: AudioFrame) => {
    const fresh = backlog.pass(frame)
    if (fresh === undefined) return true
    link.send(fresh)
    Metrics.packetToEngine.updateUnsafe((now() - frame.heardAtMs) / 1000, metrics)
    return link.copies
  }
  do yield* CatchUp.run({ link, backlog, utterances, onLost: tell })
  while (!line.connect({ waitMs: link.pace.waitMs, deliver, pause: link.feed.flushBehind }))
})

/** Suspects the session of having fallen silent when there is reason to. */
const watch = Effect.fnUntraced(function* <Relief extends object>(
  { audition, hasOther, line, link, now }: Conversation<Relief>,
  rounds: Rounds
): Effect.fn.Return<Outcome<Relief>, EngineError> {
  // what is sent to catch up is not yet late, and without another engine a slow one is better than none
  const isLate = () => line.isConnected() && link.isFallingBehind() && hasOther()
  const isDue = () => {
    const watch = link.watch()
    return watch.isStalled(now()) || watch.isSuspect(now()) || isLate()
  }
  for (;;) {
    const watch = link.watch()
    if (watch.isStalled(now())) {
      return yield* new EngineError({ reason: "Silent", detail: "it is sent speech and does nothing with it" })
    }
    if (watch.isSuspect(now())) {
      const verdict = yield* audition
      if (verdict === "Acquitted") watch.acquit(now())
      else if (verdict !== undefined) return { _tag: "Relieved", by: verdict }
    }
    if (isLate()) {
      return yield* new EngineError({ reason: "Busy", detail: "it falls behind what is spoken" })
    }
    yield* rounds.nextWhen(isDue)
  }
})

const untilReasonToClose = Effect.fnUntraced(function* <Relief extends object>(
  { audition, betterSinceMs, line, link, now, onClosing, onPause, openTextMs }: Conversation<Relief>,
  rounds: Rounds
): Effect.fn.Return<Outcome<Relief>> {
  const { capabilities, feed, openedMs, turn } = link
  const life = capabilities.maxSessionMs ?? Number.POSITIVE_INFINITY
  const pausedMs = () => openedMs + life * RENEW_AT_PAUSE
  const leaveMs = () =>
    Math.min(
      openedMs + life * (RENEW_ANYHOW - RENEW_SPREAD * turn),
      (betterSinceMs() ?? Number.POSITIVE_INFINITY) + PATIENCE_FOR_PAUSE_MS
    )
  const idleMs = () => feed.activeMs() + IDLE_MS
  let stoodMs = 0
  // when this process had stood still: what was spoken meanwhile is still to come
  const staleMs = () =>
    feed.isOpen() ? Math.max(feed.activeMs(), stoodMs, rounds.stoodMs()) + STALE_MS : Number.POSITIVE_INFINITY
  const lateMs = () =>
    feed.isPaused() ? (openTextMs() ?? Number.POSITIVE_INFINITY) + STALE_MS : Number.POSITIVE_INFINITY
  /** The voice is over: what this session has not proven is heard once more, while somebody may be asked. */
  const lastAudition = Effect.gen(function* () {
    const untilMs = now() + LAST_AUDITION_MS
    while (line.backlog().unproven() > 0 && now() < untilMs) {
      const verdict = yield* audition
      if (verdict !== undefined) return verdict === "Acquitted" ? undefined : verdict
      yield* Effect.sleep(RETRY_MS)
    }
    return undefined
  })
  const reason = (): EndCause | undefined => {
    if (line.ended()) return "StreamEnd"
    if (feed.isPaused() && (now() >= pausedMs() || betterSinceMs() !== undefined)) return "Rotation"
    return now() >= idleMs() ? "Silence" : undefined
  }
  const dueMs = () => {
    const renewalMs = feed.isPaused() ? pausedMs() : leaveMs()
    return Math.min(renewalMs, idleMs(), staleMs(), lateMs())
  }
  rounds.ringWhen(() => reason() !== undefined || dueMs() < rounds.nextMs())
  for (;;) {
    const closing = reason()
    if (closing !== undefined) {
      line.disconnect()
      onClosing(closing)
      yield* feed.finish
      yield* link.marked
      const relief = closing === "StreamEnd" ? yield* lastAudition : undefined
      return relief === undefined ? { _tag: "Closed", cause: closing } : { _tag: "Relieved", by: relief }
    }
    // the next session hears again what is not proven: nothing is cut in the middle of a word
    if (now() >= leaveMs()) return { _tag: "Left" }
    if (now() >= staleMs()) yield* feed.flushBehind
    if (now() >= lateMs()) onPause()
    if (dueMs() >= rounds.nextMs()) yield* line.rung
    else {
      const dueIn = Standstill.sleep(Math.max(1, dueMs() - now()), now)
      if (yield* Effect.raceFirst(Effect.as(line.rung, false), dueIn)) stoodMs = now()
    }
  }
})
