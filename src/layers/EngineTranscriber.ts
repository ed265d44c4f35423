/**
 * EngineTranscriber: the Transcriber. When a session with an engine is opened, replaced and closed, and what becomes of its words.
 *
 * Its parts, by what they remember: `VoiceLine` (where frames go) with `FrameBacklog` (what was not sent yet), `VoiceConversation` (one
 * session: pace, idle, renewal) with `SessionFeed` (what it was sent and flushed), `SegmentCutter` with `ItemText` (what was said),
 * `SegmentOutbox` (what the reader has not taken).
 */
import { Cause, Effect, Fiber, Layer, Metric, Random, Result, Stream } from "effect"
import type { EndCause } from "../domain/Speech.ts"
import { Resampler } from "../services/Resampler.ts"
import { EngineError, SpeechEngine } from "../services/SpeechEngine.ts"
import { Transcriber, type Voice } from "../services/Transcriber.ts"
import * as EngineRate from "./EngineRate.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as PolyphaseResampler from "./PolyphaseResampler.ts"
import * as SegmentCutter from "./SegmentCutter.ts"
import * as SegmentOutbox from "./SegmentOutbox.ts"
import { conduct } from "./VoiceConversation.ts"
import * as VoiceLine from "./VoiceLine.ts"

type Engine = SpeechEngine["Service"]

/** Longer than any engine's own limit: nothing an adapter forgets can hang a voice. */
const OPEN_LIMIT = "190 seconds"
const BACKOFF_MS = 250
const MAX_BACKOFF_MS = 10_000
/** A session that lived this long was a good one: backoff starts anew. */
const HEALTHY_MS = 60_000
/** Refused for a reason that only an admin can change. */
const REFUSED_MS = 60_000
/** After the voice ended; what no engine has said by then is not waited for. */
const LAST_WORDS = "4 seconds"

/** Transcribes with the engine of the environment. */
export const layer: Layer.Layer<Transcriber, never, SpeechEngine> = Layer.effect(
  Transcriber,
  SpeechEngine.use((engine) => make([engine]))
).pipe(Layer.provide(PolyphaseResampler.layer))

/**
 * Transcribes with these engines, the first being preferred; see `Transcriber` for what is promised.
 *
 * A session is opened at the first frame. What is said until it is open, or between two sessions, is sent from the voice's ring at most at
 * four times real time. A session that broke is replaced while there is audio, after 250 ms and doubling to 10 s; one that was refused,
 * after 60 s. It closes 30 s after the last flush, and is renewed before its longest life is over, at a pause if there is one.
 */
export const make = Effect.fn("EngineTranscriber.make")(function* (
  engines: readonly [Engine, ...ReadonlyArray<Engine>]
) {
  const [engine] = engines
  const now = yield* monotonicMs
  const resampler = yield* Resampler
  const shared: Shared = { engine, resampler, now, complaints: makeComplaints(engine.capabilities.name) }
  return Transcriber.of({
    languages: engine.capabilities.languages,
    transcribe: (voice) =>
      Stream.map(Stream.unwrap(transcribe(voice, shared)), (segment) => ({ _tag: "Segment" as const, segment }))
  })
})

/** What all voices share. */
interface Shared {
  readonly engine: Engine
  readonly resampler: Resampler["Service"]
  readonly now: () => number
  readonly complaints: Complaints
}

/** One voice and what is remembered of it. */
interface Work extends Shared {
  readonly voice: Voice
  readonly line: VoiceLine.VoiceLine
  readonly cutter: SegmentCutter.SegmentCutter
  readonly outbox: SegmentOutbox.SegmentOutbox
}

const transcribe = Effect.fnUntraced(function* (voice: Voice, shared: Shared) {
  const line = VoiceLine.make(voice)
  const cutter = SegmentCutter.make(voice.id)
  const outbox = SegmentOutbox.make()
  yield* Effect.addFinalizer(() => Effect.sync(line.backlog.close))
  yield* Effect.gen(function* () {
    const feeding = yield* Effect.forkChild(line.feed)
    const tooLate = Effect.andThen(Fiber.await(feeding), Effect.sleep(LAST_WORDS))
    yield* Effect.raceFirst(sessions({ ...shared, voice, line, cutter, outbox }), tooLate)
    outbox.put(cutter.endSession("StreamEnd"))
  }).pipe(Effect.ensuring(Effect.sync(outbox.end)), Effect.forkScoped)
  return outbox.segments
})

/** One session after the other while there is something to send; ends with the voice. */
const sessions = Effect.fnUntraced(function* (work: Work) {
  const { line, cutter, outbox, complaints, now } = work
  let failures = 0
  /** Why the newest session that had been open is no more. */
  let lost: EngineError["reason"] | undefined
  let notBeforeMs = 0
  for (;;) {
    if (line.backlog.isEmpty()) {
      if (line.ended()) return
      yield* line.rung
      continue
    }
    if (notBeforeMs > now()) yield* Effect.sleep(notBeforeMs - now())
    let openedMs = Number.POSITIVE_INFINITY
    const opened = Effect.suspend(() => {
      openedMs = now()
      const reason = lost
      lost = undefined
      return Effect.andThen(
        complaints.settle,
        reason === undefined
          ? Effect.void
          : Metric.update(Metric.withAttributes(Metrics.engineReconnects, { reason: reason.toLowerCase() }), 1)
      )
    })
    const outcome = yield* Effect.result(runSession(work, opened))
    if (Result.isSuccess(outcome)) {
      failures = 0
      outbox.put(cutter.endSession(outcome.success))
      continue
    }
    const error = outcome.failure
    if (Number.isFinite(openedMs)) lost = error.reason
    outbox.put(cutter.endSession("EngineLost"))
    yield* complaints.about(error)
    if (now() - openedMs >= HEALTHY_MS) failures = 0
    const jitter = 0.8 + 0.4 * (yield* Random.next)
    notBeforeMs = now() + (error.retryable ? Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** failures) * jitter : REFUSED_MS)
    failures += 1
  }
})

/** Opens a session and uses it until there is a reason to close it; fails when it ends by itself, after all it said was taken. */
const runSession = (
  { engine, resampler, voice, line, cutter, outbox, now }: Work,
  opened: Effect.Effect<void>
): Effect.Effect<EndCause, EngineError> =>
  Effect.gen(function* () {
    const session = yield* engine.open({ language: voice.language() }).pipe(
      Effect.timeoutOrElse({
        duration: OPEN_LIMIT,
        orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "no session was opened in time" }))
      })
    )
    yield* opened
    let changedMs = now()
    const read = session.events.pipe(
      Stream.runForEach((event) =>
        Effect.suspend(() => {
          const states = cutter.take(event, now())
          if (states.length === 0) return Effect.void
          changedMs = now()
          outbox.put(states)
          line.ring()
          return outbox.room
        })
      ),
      Effect.andThen(Effect.fail(new EngineError({ reason: "Closed", detail: "the session ended without a reason" })))
    )
    const atEngineRate = EngineRate.make(resampler, engine.capabilities.sampleRate)
    const conversation = conduct({
      line,
      session: { ...session, send: (frame) => session.send(atEngineRate(frame)) },
      capabilities: engine.capabilities,
      now,
      openTextMs: () => (cutter.isOpen() ? changedMs : undefined),
      onPause: () => outbox.put(cutter.end("Silence"))
    })
    return yield* Effect.raceFirst(read, conversation)
  }).pipe(
    Effect.scoped,
    // an adapter with a bug costs its own session, never the voice
    Effect.catchDefect((defect) =>
      Effect.logError("bug in a speech engine", Cause.die(defect)).pipe(
        Effect.andThen(Effect.fail(new EngineError({ reason: "Protocol", detail: "the engine's adapter broke" })))
      )
    )
  )

interface Complaints {
  readonly about: (error: EngineError) => Effect.Effect<void>
  readonly settle: Effect.Effect<void>
}

/** Says each trouble once until a session is open again: hundreds of voices have it at the same time. */
const makeComplaints = (engine: string): Complaints => {
  const known = new Set<string>()
  return {
    about: (error) =>
      Effect.suspend(() => {
        if (known.has(error.message)) return Effect.logDebug("engine session failed", { engine, reason: error.reason })
        known.add(error.message)
        return error.retryable
          ? Effect.logWarning(`Speech engine ${engine}: ${error.message}. Trying again while somebody speaks.`)
          : Effect.logError(
              `Speech engine ${engine} refuses us: ${error.detail}. There are no captions until its configuration is corrected; trying again every minute.`
            )
      }),
    settle: Effect.suspend(() => {
      if (known.size === 0) return Effect.void
      known.clear()
      return Effect.logInfo(`Speech engine ${engine}: a session is open`)
    })
  }
}
