/**
 * EngineTranscriber: the Transcriber. When a session with an engine is opened, replaced and closed, and what becomes of its words.
 *
 * Its parts, by what they remember: `EnginePool` (which engine is asked, and how all voices fare with it), `VoiceLine` (where frames go) with
 * `FrameBacklog` (what has to be sent, or sent again), `EngineLink` (one session: what it was sent and flushed, whether it lives),
 * `VoiceText` (what it says) over `VoiceConversation` (what it is sent) with `Audition` (whether another would hear more), `Standby` (one that
 * is starting), `SegmentCutter` with `ItemText` and `Seam` (what was said), `SegmentOutbox` (what the reader has not taken).
 */
import { Effect, Fiber, Layer, Metric, Option, type Scope, Stream } from "effect"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import { type ConfiguredEngine, Engines, languagesKnown } from "../services/Engines.ts"
import { Resampler } from "../services/Resampler.ts"
import { EngineError } from "../services/SpeechEngine.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber, type Voice } from "../services/Transcriber.ts"
import type * as Audition from "./Audition.ts"
import type * as EngineLink from "./EngineLink.ts"
import * as EnginePool from "./EnginePool.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as PolyphaseResampler from "./PolyphaseResampler.ts"
import * as SegmentCutter from "./SegmentCutter.ts"
import * as SegmentOutbox from "./SegmentOutbox.ts"
import * as Standby from "./Standby.ts"
import * as VoiceLine from "./VoiceLine.ts"
import { converse, interrupt, type Past, type Work } from "./VoiceText.ts"

/** After the voice ended; what no engine has said by then is not waited for. */
const LAST_WORDS = "10 seconds"
/** The same for a voice that waits, whose engine may just have been asked for. */
const PATIENT_LAST_WORDS = "30 seconds"
/** What is open when a session is lost goes on in the next one; when there is none by then, readers need not wait for its end. */
const ORPHANED = "3 seconds"
/** Sessions in a row that were sent speech, said nothing and were lost, before the next one waits for somebody to speak. */
const MOST_MUTE = 3
/** Without speech; a session that was flushed before was held for 30 s by then. */
const STANDBY_LIMIT = "30 seconds"
/**
 * Of what a session that was closed or left in good health had not proven, the next one hears this much again: nobody pays twice for minutes of music,
 * and whoever speaks for minutes without a pause is not read a minute late because of what was said long before.
 */
const UNPROVEN_IN_HEALTH = 30 * SAMPLE_RATE

/** Transcribes with the engines of the environment. */
export const layer: Layer.Layer<Transcriber, never, Engines> = Layer.effect(
  Transcriber,
  Engines.use((engines) => make(engines))
).pipe(Layer.provide(PolyphaseResampler.layer))

/**
 * Transcribes with these engines; see `Transcriber` for what is promised. Without any, voices are read and nothing is ever said.
 *
 * A session is opened at the first frame, with the engine that `EnginePool` gives; while that one takes its time to start, a cover captions.
 * Every session is followed by a mark: up to there all was said. When a session is lost, falls silent, or has to be left in the middle of
 * speech, the next one hears the voice again from the mark on, at most at four times real time, and what it says twice is left out. A session
 * closes 30 s after the last flush, is renewed at a pause before its longest life is over, and is left at a pause for an engine that is to
 * be preferred.
 */
export const make = Effect.fn("EngineTranscriber.make")(function* (engines: ReadonlyArray<ConfiguredEngine>) {
  const now = yield* monotonicMs
  const resampler = yield* Resampler
  const stopping = yield* Stopping
  const pool = yield* EnginePool.make(engines)
  const shared: Shared = { pool, resampler, now, stopping }
  return Transcriber.of({
    languages: languagesKnown(engines),
    prepare: pool.prepare,
    trouble: pool.trouble,
    transcribe: (voice) =>
      engines.length === 0
        ? Stream.drain(voice.frames)
        : Stream.unwrap(Effect.map(transcribe(voice, shared), ({ transcribed }) => transcribed)),
    transcribeTo: (voice, take) =>
      engines.length === 0
        ? Stream.runDrain(voice.frames)
        : Effect.scoped(Effect.flatMap(transcribe(voice, shared), ({ read }) => read(take)))
  })
})

/** What all voices share. */
interface Shared extends EngineLink.LinkOptions {
  readonly stopping: Pick<Stopping, "until">
}

const transcribe = Effect.fnUntraced(function* (voice: Voice, shared: Shared) {
  const line = VoiceLine.make(voice)
  const cutter = SegmentCutter.make(voice.id, voice.begun)
  if (voice.begun !== undefined) cutter.resume(false)
  const outbox = SegmentOutbox.make(
    voice.marks === true ? () => ({ position: line.backlog().provenTo(), said: cutter.doubt() }) : undefined
  )
  const metrics = yield* Effect.context<never>()
  yield* Effect.addFinalizer(() => Effect.sync(line.close))
  yield* Effect.gen(function* () {
    const scope = yield* Effect.scope
    const standby = yield* Standby.make({ ...shared, voice, onReady: line.ring })
    const feeding = yield* Effect.forkChild(line.feed)
    const lastWords = voice.waits === true ? PATIENT_LAST_WORDS : LAST_WORDS
    const tooLate = Effect.raceFirst(
      Effect.andThen(Fiber.await(feeding), Effect.sleep(lastWords)),
      shared.stopping.until("Words")
    )
    yield* Effect.raceFirst(sessions({ ...shared, voice, line, cutter, outbox, standby, scope, metrics }), tooLate)
    outbox.put(cutter.endSession("StreamEnd"))
    const unheard = line.backlog().waiting()
    if (unheard !== undefined) interrupt({ cutter, metrics, outbox }, unheard)
  }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(outbox.end)), Effect.forkScoped)
  return outbox
})

/** One session after the other while there is something to send; ends with the voice. */
const sessions = Effect.fnUntraced(function* (work: Work): Effect.fn.Return<void, never, Scope.Scope> {
  const { cutter, line, now, outbox, pool, standby, voice } = work
  const seamTo = voice.begun === undefined ? 0 : (voice.begun.heard ?? Number.POSITIVE_INFINITY)
  const past: Past = { seamTo, heardOnceTo: 0, isUnproven: false, opened: 0, mute: 0 }
  /** Why the newest session that had been open is no more. */
  let lost: EngineError["reason"] | undefined
  let relief: Audition.Relief | undefined
  for (;;) {
    if (line.ended() && past.isUnproven) hearAgain(work, past, UNPROVEN_IN_HEALTH)
    if (relief === undefined && line.backlog().isEmpty()) {
      if (line.ended()) return
      // somebody may have become ready meanwhile: nobody is held longer than that without speech
      const isRung = yield* Effect.timeoutOption(line.rung, STANDBY_LIMIT)
      if (Option.isNone(isRung)) yield* standby.drop
      continue
    }
    const found: Standby.Found = relief === undefined ? yield* standby.open : { _tag: "Open", link: relief.link }
    if (found._tag === "Never") return
    if (found._tag === "NotYet") {
      yield* Effect.sleep(found.waitMs)
      continue
    }
    past.opened += 1
    if (lost !== undefined) yield* reconnected(lost)
    lost = undefined
    if (past.isUnproven) hearAgain(work, past, UNPROVEN_IN_HEALTH)
    const { link } = found
    const result = yield* Effect.result(converse(work, past, link, relief?.said ?? []))
    relief = undefined
    if (result._tag === "Success" && result.success._tag === "Closed") {
      const { cause } = result.success
      yield* link.close()
      outbox.put(cutter.endSession(cause))
      outbox.settle(line.backlog().sentTo())
      past.heardOnceTo = Math.max(past.heardOnceTo, link.feed.flushedTo())
      past.isUnproven = cause !== "StreamEnd" && line.backlog().unproven() > 0
      if (cause === "Silence") yield* standby.drop
      continue
    }
    if (result._tag === "Success" && result.success._tag === "Relieved") {
      relief = result.success.by
      past.seamTo = line.backlog().sentTo()
      line.adopt()
      cutter.resume(relief.lost !== undefined)
      if (relief.lost !== undefined) interrupt(work, relief.lost)
    } else if (result._tag === "Failure" && isMute(past, link)) past.isUnproven = true
    else hearAgain(work, past, result._tag === "Success" ? UNPROVEN_IN_HEALTH : undefined)
    const error = result._tag === "Failure" ? result.failure : relief === undefined ? undefined : silent
    yield* link.close(error)
    if (error === undefined) continue
    lost = error.reason
    yield* pool.lost(link.chosen, error, now() - link.openedMs)
    if (relief === undefined) yield* Effect.forkScoped(giveUpWaiting(work, past, past.opened))
  }
})

const silent = new EngineError({
  reason: "Silent",
  detail: "it was sent speech and said nothing, and another session heard words in it"
})

/** The next session hears again what is not proven, at most the last `most` samples of it. */
const hearAgain = ({ cutter, line }: Work, past: Past, most?: number): void => {
  const backlog = line.backlog()
  // then nothing that was said is in doubt
  if (backlog.isProven()) cutter.take({ _tag: "Marked", position: backlog.sentTo() }, 0)
  past.seamTo = Math.max(past.seamTo, backlog.sentTo())
  past.isUnproven = false
  cutter.resume(!backlog.rewind(most))
}

/** One more session was lost. After several that said nothing the next one is opened when somebody speaks: noise, or dead engines, cost no more. */
const isMute = (past: Past, link: EngineLink.EngineLink): boolean => {
  past.mute = link.hasSpoken() ? 0 : past.mute + 1
  return past.mute >= MOST_MUTE && link.feed.hasSent()
}

const giveUpWaiting = ({ cutter, outbox }: Work, past: Past, opened: number) =>
  Effect.andThen(
    Effect.sleep(ORPHANED),
    Effect.sync(() => {
      if (past.opened === opened) outbox.put(cutter.end("EngineLost"))
    })
  )

const reconnected = (reason: EngineError["reason"]) =>
  Metric.update(Metric.withAttributes(Metrics.engineReconnects, { reason: reason.toLowerCase() }), 1)
