/**
 * Amazon Transcribe as a SpeechEngine: partial results with a stable beginning, word times, confidence, and one language or several told apart.
 *
 * The SDK is loaded when the layer is built, not when this module is.
 */
import type { LanguageCode, TranscribeStreamingClient } from "@aws-sdk/client-transcribe-streaming"
import { Deferred, Effect, Layer, Metric, type Scope, Stream } from "effect"
import type { LanguageId } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import { ConfigurationError } from "./AppConfig.ts"
import * as AwsAudio from "./AwsAudio.ts"
import * as AwsFaults from "./AwsFaults.ts"
import * as AwsLanguages from "./AwsLanguages.ts"
import * as AwsResults from "./AwsResults.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as StreamTimeline from "./StreamTimeline.ts"

export interface Options {
  readonly region: string
  /** Absent: the voice's own language; `en-US`: always that; `en-US,de-DE`: told apart. */
  readonly language?: string | undefined
  /** Name of a custom vocabulary. */
  readonly vocabulary?: string | undefined
  /** In place of the region's own. */
  readonly endpoint?: string | undefined
  readonly skipCertVerify?: boolean
  /** Absent: found as by every AWS tool. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

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
  local: false
}

const OPEN_TIMEOUT = "20 seconds"
/** Of silence behind speech; the first words of an utterance come within it, so that one of which nothing came by then is none. */
const LAG_SAMPLES = AwsAudio.RATE
const QUIET_MS = 500
const FLUSH_CAP = "5 seconds"
const FLUSH_POLL = "50 millis"
/** Somebody spoke for so long and the service said nothing at all: the connection is dead. */
const DEAF_SAMPLES = 30 * AwsAudio.RATE

/** A client of one region and account, for all sessions. */
interface Service {
  readonly start: (
    audio: AsyncIterable<{ readonly AudioEvent: { readonly AudioChunk: Uint8Array } }>,
    language: LanguageId,
    signal: AbortSignal
  ) => Promise<AsyncIterable<unknown> | undefined>
}

/**
 * Sessions with Amazon Transcribe.
 *
 * Partial results replace each other behind a part that stays; an utterance ends where the service hears a pause. A flush is silence, at real
 * time, until the utterance is over or one second was silent and nothing is open, at most 5 s; it stops when somebody speaks again. `finish`
 * ends the stream and reads what is left, which proves everything. The mark lies behind finals and stable words. While nobody speaks 80 ms of
 * silence every 10 s keep the stream open; silence is billed, and in no time that is told.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"], ConfigurationError, Scope.Scope> =>
  Effect.gen(function* () {
    const languages = AwsLanguages.parse(options.language)
    if (typeof languages === "string") {
      return yield* new ConfigurationError({ detail: `TRANSCRIBE_LANGUAGE_CODE ${languages}` })
    }
    const service = yield* connectTo(options, languages)
    const now = yield* monotonicMs
    return SpeechEngine.of({ capabilities, open: ({ language }) => open(service, language, now) })
  })

export const layer = (options: Options): Layer.Layer<SpeechEngine, ConfigurationError> =>
  Layer.effect(SpeechEngine, make(options))

const connectTo = Effect.fnUntraced(function* (
  { credentials, endpoint, region, skipCertVerify, vocabulary }: Options,
  languages: ReadonlyArray<LanguageCode>
) {
  const sdk = yield* Effect.promise(() => import("@aws-sdk/client-transcribe-streaming"))
  const create = (): TranscribeStreamingClient =>
    new sdk.TranscribeStreamingClient({
      region,
      // a failed session is the Transcriber's affair
      maxAttempts: 1,
      logger: silent,
      requestHandler: {
        disableConcurrentStreams: true,
        ...(skipCertVerify === true ? { nodeHttp2ConnectOptions: { rejectUnauthorized: false } } : {})
      },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials })
    })
  const client = yield* Effect.acquireRelease(Effect.sync(create), (made) => Effect.sync(() => made.destroy()))
  const start: Service["start"] = async (AudioStream, language, abortSignal) => {
    const asked = AwsLanguages.request(languages, language)
    const vocabularies = "LanguageCode" in asked ? { VocabularyName: vocabulary } : { VocabularyNames: vocabulary }
    const command = new sdk.StartStreamTranscriptionCommand({
      MediaEncoding: "pcm",
      MediaSampleRateHertz: AwsAudio.RATE,
      EnablePartialResultsStabilization: true,
      PartialResultsStability: "high",
      ...asked,
      ...(vocabulary === undefined ? {} : vocabularies),
      AudioStream
    })
    return (await client.send(command, { abortSignal })).TranscriptResultStream
  }
  const service: Service = { start }
  return service
})

/** What the SDK would write to the console. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const open = Effect.fn("AwsEngine.open")(function* (
  service: Service,
  language: LanguageId,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const metrics = yield* Effect.context<never>()
  const timeline = StreamTimeline.make(AwsAudio.RATE)
  const audio = AwsAudio.make(timeline, now)
  const results = AwsResults.make(timeline, AwsAudio.RATE)
  const outgoing = yield* Stream.toAsyncIterableEffect(
    Stream.map(audio.chunks, (AudioChunk) => {
      Metrics.engineAudioSeconds.updateUnsafe(AudioChunk.length / 2 / AwsAudio.RATE, metrics)
      return { AudioEvent: { AudioChunk } }
    })
  )
  const incoming = yield* connect(service, outgoing, language, Effect.sync(audio.end))
  yield* Metrics.engineSession

  const ended = yield* Deferred.make<never, EngineError>()
  const broken = yield* Deferred.make<never, EngineError>()
  /** Everything was sent and the service has said the last word about it. */
  const over = yield* Deferred.make<void>()
  let isFinishing = false
  let sentTo = 0
  let mark = 0
  let toldMs = now()
  /** Samples of speech since the service said anything. */
  let unheard = 0
  /** What the reader has taken: only that is certain. */
  let settled = { proven: 0, isOpen: false, count: 0 }

  const fault = (exception: unknown) =>
    AwsFaults.ofException(exception, { isOpen: true, hasResults: results.count() > 0 })
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
    if (settled.proven > 0) mark = Math.max(mark, timeline.voiceAt(settled.proven))
  })
  /** The service has nothing more to say. */
  const closing = Stream.fromEffectDrain(
    Effect.suspend(() => {
      if (!isFinishing)
        return Effect.fail(new EngineError({ reason: "Closed", detail: "Amazon Transcribe ended the stream" }))
      mark = Math.max(mark, sentTo)
      return Effect.andThen(Deferred.succeed(over, undefined), Effect.never)
    })
  )

  const isHeard = (at: number): boolean => {
    if (settled.count !== results.count()) return false
    if (settled.proven >= at) return true
    return !settled.isOpen && timeline.sent() - at >= LAG_SAMPLES && now() - toldMs >= QUIET_MS
  }
  const flush = Effect.suspend(() => {
    const waypoint = audio.pad()
    const heard = Effect.gen(function* () {
      for (let at = waypoint.at(); at === undefined || !isHeard(at); at = waypoint.at()) yield* Effect.sleep(FLUSH_POLL)
    })
    return heard.pipe(
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
      sentTo = frame.position + Math.round((frame.pcm.length * 24_000) / AwsAudio.RATE)
      unheard += frame.pcm.length
      if (!audio.send(frame)) breakDown("it takes no more audio")
      else if (unheard > DEAF_SAMPLES) breakDown("it says nothing any more")
    },
    commit: Effect.void,
    flush: Effect.raceFirst(flush, Deferred.await(ended)),
    finish: Effect.raceFirst(finish, Deferred.await(ended)),
    events: messagesOf(incoming, fault).pipe(
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.concat(closing),
      Stream.interruptWhen(Deferred.await(broken)),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: () => mark
  }
})

/** Opens the stream; it is gone when the scope closes. */
const connect = Effect.fnUntraced(function* (
  service: Service,
  outgoing: Parameters<Service["start"]>[0],
  language: LanguageId,
  end: Effect.Effect<void>
): Effect.fn.Return<AsyncIterable<unknown>, EngineError, Scope.Scope> {
  const controller = yield* Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (made) =>
      Effect.andThen(
        end,
        Effect.sync(() => made.abort())
      )
  )
  const incoming = yield* Effect.tryPromise({
    try: () => service.start(outgoing, language, controller.signal),
    catch: (exception) => AwsFaults.ofException(exception, { isOpen: false, hasResults: false })
  }).pipe(
    Effect.timeoutOrElse({
      duration: OPEN_TIMEOUT,
      orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "Amazon Transcribe does not answer" }))
    })
  )
  if (incoming === undefined)
    return yield* new EngineError({ reason: "Protocol", detail: "an answer without a stream" })
  return incoming
})

/** One after the other. Whoever stops reading does not wait for the next: the SDK's iterator would. */
const messagesOf = (
  incoming: AsyncIterable<unknown>,
  fault: (exception: unknown) => EngineError
): Stream.Stream<unknown, EngineError> =>
  Stream.suspend(() => {
    const iterator = incoming[Symbol.asyncIterator]()
    const next = Effect.tryPromise({ try: () => iterator.next(), catch: fault })
    return Stream.unfold(undefined, () =>
      Effect.map(next, ({ done, value }) => (done === true ? undefined : [value, undefined]))
    )
  })
