/**
 * EngineTranscriber: the Transcriber. When a session with an engine is opened, replaced and closed, and what becomes of its words.
 *
 * Its parts, by what they remember: `EngineChoice` with `EngineBackoff` (which engine is asked), `VoiceLine` (where frames go) with
 * `FrameBacklog` (what was not sent yet), `VoiceConversation` (one session: idle, renewal) with `SessionFeed` (what it was sent and
 * flushed) and `Pace` (how fast), `SegmentCutter` with `ItemText` (what was said), `SegmentOutbox` (what the reader has not taken).
 */
import { Cause, Effect, Fiber, Layer, Metric, Random, Result, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { EndCause } from "../domain/Speech.ts"
import { type ConfiguredEngine, Engines, languagesKnown } from "../services/Engines.ts"
import { Resampler } from "../services/Resampler.ts"
import { EngineError } from "../services/SpeechEngine.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber, type Voice } from "../services/Transcriber.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as EngineComplaints from "./EngineComplaints.ts"
import * as EngineRate from "./EngineRate.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as PolyphaseResampler from "./PolyphaseResampler.ts"
import * as SegmentCutter from "./SegmentCutter.ts"
import * as SegmentOutbox from "./SegmentOutbox.ts"
import { conduct } from "./VoiceConversation.ts"
import * as VoiceLine from "./VoiceLine.ts"

/** Longer than any engine's own limit: nothing an adapter forgets can hang a voice. */
const OPEN_LIMIT = "190 seconds"
/** After the voice ended; what no engine has said by then is not waited for. */
const LAST_WORDS = "4 seconds"
/** The same for a voice that waits, whose engine may just have been asked for. */
const PATIENT_LAST_WORDS = "30 seconds"

/** Transcribes with the engines of the environment. */
export const layer: Layer.Layer<Transcriber, never, Engines> = Layer.effect(
  Transcriber,
  Engines.use((engines) => make(engines))
).pipe(Layer.provide(PolyphaseResampler.layer))

/**
 * Transcribes with these engines; see `Transcriber` for what is promised. Without any, voices are read and nothing is ever said.
 *
 * A session is opened at the first frame, with the engine that `EngineChoice` gives. What is said until it is open, or between two
 * sessions, is sent from the voice's ring at most at four times real time. An engine that refuses, cannot be reached or breaks is passed
 * over at once for the next one, until its backoff is over (see `EngineBackoff`); without another it is waited for, while there is audio. A
 * session closes 30 s after the last flush, and is renewed before its longest life is over, at a pause if there is one.
 */
export const make = Effect.fn("EngineTranscriber.make")(function* (engines: ReadonlyArray<ConfiguredEngine>) {
  const now = yield* monotonicMs
  const resampler = yield* Resampler
  const complaints = EngineComplaints.make(engines.length)
  const stopping = yield* Stopping
  const shared: Shared = { choose: EngineChoice.make(engines, now), resampler, now, stopping, complaints }
  return Transcriber.of({
    languages: languagesKnown(engines),
    prepare: () => Effect.void,
    transcribe: (voice) =>
      engines.length === 0 ? Stream.drain(voice.frames) : Stream.unwrap(transcribe(voice, shared))
  })
})

/** What all voices share. */
interface Shared {
  readonly choose: EngineChoice.EngineChoice
  readonly resampler: Resampler["Service"]
  readonly now: () => number
  readonly stopping: Pick<Stopping, "until">
  readonly complaints: EngineComplaints.EngineComplaints
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
    const lastWords = voice.waits === true ? PATIENT_LAST_WORDS : LAST_WORDS
    const tooLate = Effect.raceFirst(
      Effect.andThen(Fiber.await(feeding), Effect.sleep(lastWords)),
      shared.stopping.until("Words")
    )
    yield* Effect.raceFirst(sessions({ ...shared, voice, line, cutter, outbox }), tooLate)
    outbox.put(cutter.endSession("StreamEnd"))
  }).pipe(Effect.ensuring(Effect.sync(outbox.end)), Effect.forkScoped)
  return outbox.transcribed
})

/** One session after the other while there is something to send; ends with the voice. */
const sessions = Effect.fnUntraced(function* (work: Work) {
  const { voice, line, cutter, outbox, complaints, choose, now } = work
  /** Why the newest session that had been open is no more. */
  let lost: EngineError["reason"] | undefined
  for (;;) {
    if (line.backlog.isEmpty()) {
      if (line.ended()) return
      yield* line.rung
      continue
    }
    const chosen = choose(voice)
    if (chosen === undefined) return
    const { backoff, configured } = chosen
    const waitMs = backoff.waitMs()
    if (waitMs > 0) {
      yield* Effect.sleep(waitMs + backoff.spreadMs() * (yield* Random.next))
      continue
    }
    const triedMs = now()
    let openedMs: number | undefined
    const opened = Effect.suspend(() => {
      openedMs = now()
      configured.opened()
      const reason = lost
      lost = undefined
      return Effect.andThen(
        complaints.settle(chosen),
        reason === undefined
          ? Effect.void
          : Metric.update(Metric.withAttributes(Metrics.engineReconnects, { reason: reason.toLowerCase() }), 1)
      )
    })
    const closed = Effect.sync(() => {
      if (openedMs !== undefined) configured.closed()
    })
    const outcome = yield* Effect.result(Effect.ensuring(runSession(work, chosen, opened), closed))
    outbox.put(cutter.endSession(Result.isSuccess(outcome) ? outcome.success : "EngineLost"))
    // of what a lost session was sent, nothing more will be said
    outbox.settle(line.backlog.sentTo())
    if (Result.isSuccess(outcome)) {
      backoff.proved()
      continue
    }
    const error = outcome.failure
    if (openedMs !== undefined) lost = error.reason
    configured.failed(error)
    backoff.failed(error, openedMs === undefined ? { triedMs } : { triedMs, openedMs })
    yield* complaints.about(chosen, error)
  }
})

/** Opens a session and uses it until there is a reason to close it; fails when it ends by itself, after all it said was taken. */
const runSession = (
  { resampler, voice, line, cutter, outbox, now }: Work,
  { configured: { engine }, language }: EngineChoice.Chosen,
  opened: Effect.Effect<void>
): Effect.Effect<EndCause, EngineError> =>
  Effect.gen(function* () {
    const session = yield* engine.open({ language }).pipe(
      Effect.timeoutOrElse({
        duration: OPEN_LIMIT,
        orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "no session was opened in time" }))
      })
    )
    yield* opened
    let changedMs = now()
    let closing: EndCause | undefined
    const read = session.events.pipe(
      Stream.runForEach((event) =>
        Effect.suspend(() => {
          const wasOpen = cutter.isOpen()
          const states = cutter.take(event, now())
          if (states.length === 0) return Effect.void
          changedMs = now()
          outbox.put(states)
          // what is open already and changes is only stale later
          if (!wasOpen) line.ring()
          return outbox.room
        })
      ),
      Effect.andThen(Effect.fail(new EngineError({ reason: "Closed", detail: "the session ended without a reason" }))),
      // a server may hang up behind the last words
      Effect.catchIf(
        ({ reason }) => reason === "Closed" && closing !== undefined && session.finish !== undefined,
        () => Effect.succeed(closing ?? "StreamEnd")
      )
    )
    const atEngineRate = EngineRate.make(resampler, engine.capabilities.sampleRate)
    const conversation = conduct({
      line,
      session: { ...session, send: (frame) => session.send(atEngineRate(frame)) },
      capabilities: engine.capabilities,
      now,
      utterances: voice.utterances === true,
      openTextMs: () => (cutter.isOpen() ? changedMs : undefined),
      onPause: () => outbox.put(cutter.end("Silence")),
      onFlushed: (position, paused) => {
        if (paused || voice.utterances !== true) {
          if (paused) outbox.put(cutter.end("Silence"))
          return outbox.settle(position)
        }
        outbox.put(cutter.endBefore(msOfSamples(position), "Silence"))
        outbox.settle(position, "later")
      },
      onClosing: (cause) => {
        closing = cause
      }
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
