/**
 * Amazon Transcribe as a SpeechEngine: partial results with a stable beginning, word times, confidence, and one language or several told apart.
 */
import { Deferred, Effect, Layer, Metric, type Scope, Stream } from "effect"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as AwsAudio from "./AwsAudio.ts"
import * as AwsConnection from "./AwsConnection.ts"
import * as AwsLanguages from "./AwsLanguages.ts"
import * as AwsResults from "./AwsResults.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import * as EngineMark from "./EngineMark.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as StreamTimeline from "./StreamTimeline.ts"

export interface Options extends AwsConnection.Options {
  /** Absent: the voice's own language; `en-US`: always that; `en-US,de-DE`: told apart. */
  readonly language?: string | undefined
}

/** What it can. */
export const capabilities: EngineCapabilities = {
  name: "aws",
  sampleRate: AwsAudio.RATE,
  partials: "replace",
  endOfTurn: "vad",
  mark: "WordTimes",
  wordTimes: true,
  confidence: true,
  punctuation: true,
  languages: AwsLanguages.languages,
  keepAlive: "Silence",
  // https://docs.aws.amazon.com/general/latest/gr/transcribe.html: 4 h, 25 streams unless more were asked for
  maxSessionMs: 4 * 60 * 60_000,
  maxSessions: 25,
  fasterThanRealtime: false,
  local: false,
  // https://aws.amazon.com/transcribe/pricing: by the second of audio, each request as 15 s at least
  billed: "Audio",
  billedAtLeastMs: 15_000
}

/** Of silence behind speech; the first words of an utterance come within it, so that one of which nothing came by then is none. */
const LAG_SAMPLES = AwsAudio.RATE
const QUIET_MS = 500
const FLUSH_CAP = "5 seconds"
const FLUSH_POLL = "50 millis"
/** The connection takes nothing more: some seconds fit into what is on the way, and the service takes what it is sent at once. */
const STUCK_MS = 2_000
const WATCH_EVERY = "250 millis"
/** Somebody spoke for so long and the service said nothing at all: the connection is dead. */
const DEAF_SAMPLES = 30 * AwsAudio.RATE

/**
 * Sessions with Amazon Transcribe.
 *
 * Partial results replace each other behind a part that stays; an utterance ends where the service hears a pause. A flush is silence, at real
 * time, until the utterance is over or one second was silent and nothing is open, at most 5 s; it stops when somebody speaks again. `finish`
 * ends the stream and reads what is left, which proves everything. The mark lies where the newest stable or final word ends (see `AwsResults`). While nobody speaks 80 ms of
 * silence every 10 s keep the stream open; silence is billed, and in no time that is told.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"], ConfigurationError, Scope.Scope> =>
  Effect.gen(function* () {
    const languages = AwsLanguages.parse(options.language)
    if (typeof languages === "string") {
      return yield* new ConfigurationError({ detail: `TRANSCRIBE_LANGUAGE_CODE ${languages}` })
    }
    const service = yield* AwsConnection.make(options)
    const now = yield* monotonicMs
    return SpeechEngine.of({
      capabilities,
      open: ({ language }) => open(service, AwsLanguages.request(languages, language), now)
    })
  })

/** The same as a layer. */
export const layer = (options: Options): Layer.Layer<SpeechEngine, ConfigurationError> =>
  Layer.effect(SpeechEngine, make(options))

const open = Effect.fn("AwsEngine.open")(function* (
  service: AwsConnection.AwsConnection,
  language: AwsLanguages.LanguageRequest,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const count = yield* Metrics.engineAudio(capabilities)
  const timeline = StreamTimeline.make(AwsAudio.RATE)
  const audio = AwsAudio.make(timeline, now)
  const mark = EngineMark.make()
  const results = AwsResults.make(timeline, AwsAudio.RATE, mark)
  const outgoing = yield* Stream.toAsyncIterableEffect(
    Stream.map(audio.chunks, (AudioChunk) => {
      count(AudioChunk.length / 2)
      return { AudioEvent: { AudioChunk } }
    })
  )
  const messages = yield* service.open({
    audio: outgoing,
    language,
    end: audio.end,
    hasResults: () => results.count() > 0
  })
  yield* Metrics.engineSession(capabilities)

  const ended = yield* Deferred.make<never, EngineError>()
  const broken = yield* Deferred.make<never, EngineError>()
  /** Everything was sent and the service has said the last word about it. */
  const over = yield* Deferred.make<void>()
  let isFinishing = false
  let sentTo = 0
  /** Nothing sent before it is open. */
  let flushedTo = 0
  let toldMs = now()
  /** Samples of speech since the service said anything. */
  let unheard = 0
  /** What the reader has taken: only that is certain. */
  let settled = { proven: 0, isOpen: false, count: 0 }

  const breakDown = (detail: string): void => {
    Deferred.doneUnsafe(broken, Effect.fail(new EngineError({ reason: "Silent", detail })))
  }

  const unknown = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "aws" }), 1)
  const read = (message: unknown): Effect.Effect<ReadonlyArray<SpeechEvent>> => {
    unheard = 0
    const events = results.take(message)
    if (events === undefined) return Effect.as(unknown, [])
    if (events.length > 0) toldMs = now()
    return Effect.succeed(events)
  }
  const settle = Effect.sync(() => {
    settled = { proven: results.proven(), isOpen: results.isOpen(), count: results.count() }
    mark.settle()
  })
  /** The service has nothing more to say. */
  const closing = Stream.suspend(() => {
    if (!isFinishing)
      return Stream.fail(new EngineError({ reason: "Closed", detail: "Amazon Transcribe ended the stream" }))
    const told = Effect.sync(() => {
      mark.settle()
      Deferred.doneUnsafe(over, Effect.void)
    })
    return Stream.fromIterable(mark.reach(sentTo)).pipe(
      Stream.concat(Stream.fromEffectDrain(told)),
      Stream.concat(Stream.never)
    )
  })
  const watch = Effect.gen(function* () {
    for (;;) {
      yield* Effect.sleep(WATCH_EVERY)
      if (audio.blockedMs() >= STUCK_MS) breakDown("it takes no more audio")
    }
  })

  const isHeard = (at: number): boolean => {
    if (settled.count !== results.count()) return false
    if (settled.proven >= at) return true
    return !settled.isOpen && timeline.sent() - at >= LAG_SAMPLES && now() - toldMs >= QUIET_MS
  }
  const flush = Effect.suspend(() => {
    const upTo = sentTo
    if (upTo === flushedTo) return Effect.void
    const waypoint = audio.pad()
    const heard = Effect.gen(function* () {
      for (let at = waypoint.at(); at === undefined || !isHeard(at); at = waypoint.at()) yield* Effect.sleep(FLUSH_POLL)
    })
    const done = Effect.sync(() => {
      flushedTo = Math.max(flushedTo, upTo)
    })
    return Effect.andThen(heard, done).pipe(
      Effect.timeoutOrElse({ duration: FLUSH_CAP, orElse: () => Effect.void }),
      Effect.ensuring(Effect.sync(waypoint.release))
    )
  })
  const finish = Effect.suspend(() => {
    isFinishing = true
    audio.end()
    return Effect.timeoutOrElse(Deferred.await(over), { duration: FLUSH_CAP, orElse: () => Effect.void })
  })

  return {
    send: (frame) => {
      sentTo = frame.position + Math.round((frame.pcm.length * SAMPLE_RATE) / AwsAudio.RATE)
      unheard += frame.pcm.length
      if (!audio.send(frame)) breakDown("it takes no more audio")
      else if (unheard > DEAF_SAMPLES) breakDown("it says nothing any more")
    },
    commit: Effect.void,
    flush: Effect.raceFirst(flush, Deferred.await(ended)),
    finish: Effect.raceFirst(finish, Deferred.await(ended)),
    events: messages.pipe(
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.concat(closing),
      Stream.interruptWhen(Effect.raceFirst(Deferred.await(broken), watch)),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: mark.position
  }
})
