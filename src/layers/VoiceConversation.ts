/**
 * VoiceConversation: one open session with an engine as one voice uses it: catch up, send, flush at pauses, and know when to close.
 */
import { Effect, Metric, type Scope } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { EndCause } from "../domain/Speech.ts"
import type { EngineCapabilities, EngineSession } from "../services/SpeechEngine.ts"
import * as Metrics from "./Metrics.ts"
import * as Pace from "./Pace.ts"
import * as SessionFeed from "./SessionFeed.ts"
import type { VoiceLine } from "./VoiceLine.ts"

/** Frames sent in one go while catching up: short enough for everybody else in the process. */
const SLICE = 4
/** Engines that may be sent audio faster than it was spoken take it at this rate (Kyutai's server computes at 3–4×). */
const FASTEST = 4
/** After the last flush; a session is never held longer than 60 s without speech. */
const IDLE_MS = 30_000
/** Speech that stopped without an end is taken for ended after this, and so are words that came after the flush. */
const STALE_MS = 2_000
/** Parts of a session's longest life: from the first on it is renewed at the next pause, at the second in any case. */
const RENEW_AT_PAUSE = 25 / 30
const RENEW_ANYHOW = 29 / 30

export interface Conversation {
  readonly line: VoiceLine
  readonly session: EngineSession
  readonly capabilities: EngineCapabilities
  readonly now: () => number
  /** Every stretch of speech in the backlog is flushed, not only the last. */
  readonly utterances: boolean
  /** Milliseconds when the open segment last changed; absent while none is open. Whoever opens one rings the line. */
  readonly openTextMs: () => number | undefined
  /** Words that came after the last flush seem to be complete. */
  readonly onPause: () => void
  /** A flush completed, of what ends at `position`; `paused` when nothing was said since. */
  readonly onFlushed: (position: number, paused: boolean) => void
  /** From now on the session may end without having been lost. */
  readonly onClosing: (cause: EndCause) => void
}

/**
 * Sends what the voice says until there is a reason to close the session, which is returned: `Silence` (nobody spoke for a while),
 * `Rotation` (it gets too old) or `StreamEnd` (the voice ended); everything was flushed then. Frames in the backlog go first, in order.
 * Never fails: that a session broke is learned from its events.
 */
export const conduct = Effect.fnUntraced(function* (
  conversation: Conversation
): Effect.fn.Return<EndCause, never, Scope.Scope> {
  const { line, session, capabilities, now, onFlushed } = conversation
  const life = capabilities.maxSessionMs ?? Number.POSITIVE_INFINITY
  const renewal = { atPauseMs: now() + life * RENEW_AT_PAUSE, anyhowMs: now() + life * RENEW_ANYHOW }
  const feed = yield* SessionFeed.make({
    session,
    now,
    onFlushed: (position, paused) => {
      onFlushed(position, paused)
      line.ring()
    },
    onBroken: line.disconnect
  })
  yield* Effect.addFinalizer(() => Effect.sync(line.disconnect))
  const talk = Effect.andThen(catchUp(conversation, feed), untilReasonToClose(conversation, feed, renewal))
  return yield* Effect.raceFirst(talk, feed.broken)
})

/** Sends the backlog in slices, then connects the line. */
const catchUp = Effect.fnUntraced(function* (
  { line, capabilities, now, utterances }: Conversation,
  feed: SessionFeed.SessionFeed
) {
  const metrics = yield* Effect.context<never>()
  const pace = Pace.make(capabilities.fasterThanRealtime ? FASTEST : 1, now)
  const send = (frame: AudioFrame) => {
    feed.send(frame)
    pace.sent(frame)
  }
  const deliver = (frame: AudioFrame): Effect.Effect<void> =>
    Effect.suspend(() => {
      const fresh = line.backlog.pass(frame)
      if (fresh !== undefined) {
        send(fresh)
        Metrics.packetToEngine.updateUnsafe((now() - frame.heardAtMs) / 1000, metrics)
      }
      return frame.endsSpeech ? feed.flushBehind : Effect.void
    })
  for (;;) {
    const frames = line.backlog.take(SLICE)
    for (const frame of frames) {
      send(frame)
      if (utterances && frame.endsSpeech) yield* feed.flushBehind
    }
    const lost = line.backlog.lost()
    if (lost > 0) yield* Metric.update(Metric.withAttributes(Metrics.drops, { reason: "ring_overwritten" }), lost)
    if (line.backlog.isEmpty()) {
      line.connect({ waitMs: pace.waitMs, deliver })
      if (frames.at(-1)?.endsSpeech === true && feed.isOpen()) yield* feed.flushBehind
      return
    }
    yield* Effect.sleep(pace.idleInMs())
  }
})

const untilReasonToClose = Effect.fnUntraced(function* (
  { line, now, openTextMs, onPause, onClosing }: Conversation,
  feed: SessionFeed.SessionFeed,
  renewal: { readonly atPauseMs: number; readonly anyhowMs: number }
) {
  const renewalMs = () => (feed.isPaused() ? renewal.atPauseMs : renewal.anyhowMs)
  const idleMs = () => feed.activeMs() + IDLE_MS
  const staleMs = () => (feed.isOpen() ? feed.activeMs() + STALE_MS : Number.POSITIVE_INFINITY)
  const lateMs = () =>
    feed.isPaused() ? (openTextMs() ?? Number.POSITIVE_INFINITY) + STALE_MS : Number.POSITIVE_INFINITY
  const reason = (): EndCause | undefined => {
    if (line.ended()) return "StreamEnd"
    if (now() >= renewalMs()) return "Rotation"
    return now() >= idleMs() ? "Silence" : undefined
  }
  for (;;) {
    const closing = reason()
    if (closing !== undefined) {
      line.disconnect()
      onClosing(closing)
      yield* feed.finish
      return closing
    }
    if (now() >= staleMs()) yield* feed.flushBehind
    if (now() >= lateMs()) onPause()
    const dueMs = Math.min(renewalMs(), idleMs(), staleMs(), lateMs())
    yield* Effect.timeoutOption(line.rung, Math.max(1, dueMs - now()))
  }
})
