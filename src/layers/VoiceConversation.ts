/**
 * VoiceConversation: one open session with an engine as one voice uses it: catch up, send, flush at pauses, and know when to close.
 */
import { Deferred, Effect, Metric, type Scope } from "effect"
import { type AudioFrame, FRAME_MS } from "../domain/Audio.ts"
import type { EndCause } from "../domain/Speech.ts"
import type { EngineCapabilities, EngineSession } from "../services/SpeechEngine.ts"
import * as Metrics from "./Metrics.ts"
import type { VoiceLine } from "./VoiceLine.ts"

/** Frames sent in one go while catching up: short enough for everybody else in the process. */
const SLICE = 4
/** Engines that may be sent audio faster than it was spoken take it at this rate (Kyutai's server computes at 3–4×). */
const CATCH_UP_SPEED = 4
/** After the last flush; a session is never held longer than 60 s without speech. */
const IDLE_MS = 30_000
/** Speech that stopped without an end is taken for ended after this. */
const STALE_MS = 2_000
/** An engine that does not complete a flush holds nothing up. */
const FLUSH_LIMIT = "5 seconds"
/** Parts of a session's longest life: from the first on it is renewed at the next pause, at the second in any case. */
const RENEW_AT_PAUSE = 25 / 30
const RENEW_ANYHOW = 29 / 30

export interface Conversation {
  readonly line: VoiceLine
  readonly session: EngineSession
  readonly capabilities: EngineCapabilities
  readonly now: () => number
  /** A flush completed and nothing was said since. */
  readonly onPause: () => void
}

/**
 * Sends what the voice says until there is a reason to close the session, which is returned: `Silence` (nobody spoke for a while),
 * `Rotation` (it gets too old) or `StreamEnd` (the voice ended; everything was flushed). Frames in the backlog go first, in order.
 * Never fails: that the session broke is learned from its events.
 */
export const conduct = Effect.fnUntraced(function* ({
  line,
  session,
  capabilities,
  now,
  onPause
}: Conversation): Effect.fn.Return<EndCause, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const metrics = yield* Effect.context<never>()
  const openedMs = now()
  const renewAtPauseMs = openedMs + (capabilities.maxSessionMs ?? Number.POSITIVE_INFINITY) * RENEW_AT_PAUSE
  const renewAnyhowMs = openedMs + (capabilities.maxSessionMs ?? Number.POSITIVE_INFINITY) * RENEW_ANYHOW
  /** Frames sent; and how many of them a flush was asked for, and completed for. */
  let sent = 0
  let asked = 0
  let flushed = 0
  let activeMs = openedMs

  /** Nothing an engine throws reaches the voice. */
  const broken = yield* Deferred.make<never>()
  const send = (frame: AudioFrame): void => {
    sent += 1
    activeMs = now()
    try {
      session.send(frame)
    } catch (defect) {
      line.disconnect()
      Deferred.doneUnsafe(broken, Effect.die(defect))
    }
  }

  const flush = Effect.suspend(() => {
    asked = sent
    return Effect.timeoutOrElse(session.flush, { duration: FLUSH_LIMIT, orElse: () => Effect.void })
  })
  /** Frames go on while the engine finishes what it was sent. */
  const flushBehind = Effect.suspend(() => {
    const upTo = sent
    const completed = Effect.sync(() => {
      flushed = Math.max(flushed, upTo)
      activeMs = now()
      if (sent === upTo) onPause()
      line.ring()
    })
    return flush.pipe(Effect.andThen(completed), Effect.ignore, Effect.forkIn(scope, { startImmediately: true }))
  })

  const deliver = (frame: AudioFrame): Effect.Effect<void> =>
    Effect.suspend(() => {
      const fresh = line.backlog.pass(frame)
      if (fresh !== undefined) {
        send(fresh)
        Metrics.packetToEngine.updateUnsafe((now() - frame.heardAtMs) / 1000, metrics)
      }
      return frame.endsSpeech ? Effect.asVoid(flushBehind) : Effect.void
    })

  const catchUp = Effect.gen(function* () {
    const pauseMs = (FRAME_MS * SLICE) / (capabilities.fasterThanRealtime ? CATCH_UP_SPEED : 1)
    for (;;) {
      const frames = line.backlog.take(SLICE)
      for (const frame of frames) send(frame)
      const lost = line.backlog.lost()
      if (lost > 0) yield* Metric.update(Metric.withAttributes(Metrics.drops, { reason: "ring_overwritten" }), lost)
      if (line.backlog.isEmpty()) {
        line.connect(deliver)
        if (frames.at(-1)?.endsSpeech === true) yield* flushBehind
        return
      }
      yield* Effect.sleep(pauseMs)
    }
  })

  const untilReasonToClose = Effect.gen(function* () {
    for (;;) {
      const paused = sent === flushed
      const closing: EndCause | undefined = line.ended()
        ? "StreamEnd"
        : now() >= (paused ? renewAtPauseMs : renewAnyhowMs)
          ? "Rotation"
          : paused && now() >= activeMs + IDLE_MS
            ? "Silence"
            : undefined
      if (closing !== undefined) {
        line.disconnect()
        if (!paused) yield* Effect.ignore(flush)
        return closing
      }
      const stale = asked < sent
      if (stale && now() >= activeMs + STALE_MS) {
        yield* flushBehind
        continue
      }
      const dueMs = Math.min(activeMs + (stale ? STALE_MS : IDLE_MS), paused ? renewAtPauseMs : renewAnyhowMs)
      yield* Effect.timeoutOption(line.rung, Math.max(1, dueMs - now()))
    }
  })

  yield* Effect.addFinalizer(() => Effect.sync(line.disconnect))
  return yield* Effect.raceFirst(Effect.andThen(catchUp, untilReasonToClose), Deferred.await(broken))
})
