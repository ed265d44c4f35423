/**
 * A Vosk server as a SpeechEngine: the stock one or Nextcloud's, one message and one answer at a time.
 */
import { Deferred, Effect, Layer, Metric, Option, type Scope, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import { known, type LanguageId, languagesOf } from "../domain/Language.ts"
import type { EndCause, SpeechEvent, Word } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineMark from "./EngineMark.ts"
import * as EngineSocket from "./EngineSocket.ts"
import { isLocal } from "./Loopback.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as StreamTimeline from "./StreamTimeline.ts"
import * as VoskLockstep from "./VoskLockstep.ts"
import * as VoskProtocol from "./VoskProtocol.ts"

export interface Options {
  readonly url: string
  readonly skipCertVerify?: boolean
}

/** Those that Nextcloud's server has models for. A stock server has one model, whatever it is asked for. */
const LANGUAGES = "en de fr es it pt nl pl ru uk ar ar-TN br ca cs eo fa hi ja kk ko te tg tr uz vi zh".split(" ")

/** Hz. What nearly all models were trained with; the server resamples everything else. */
const SAMPLE_RATE = 16_000
/** 400 ms: what Nextcloud sends. Shorter messages are sent when the server is quick. */
const MOST_SAMPLES = 0.4 * SAMPLE_RATE
/** A server that is so far behind (seconds of audio) does not catch up. */
const MOST_WAITING = 30 * SAMPLE_RATE
/** 1.6 s end an utterance for servers that do not know `reset` (the C++ ones); Vosk's endpoint rules ask for 0.5–1 s behind a word. */
const SILENCE_MESSAGES = 4
/** A model may have to be loaded before the first answer. */
const FIRST_ANSWER_MS = 60_000
/** For 400 ms of audio: five times as long as it is. */
const ANSWER_MS = 2_000
/** The end of a long utterance is computed a second time, with a larger language model. */
const END_ANSWER_MS = 4_000
const WATCH_EVERY = "250 millis"
/**
 * Vosk ends an utterance by itself when at least so much silence is behind a word (the shortest of Kaldi's endpoint rules), or after 20 s,
 * where nobody paused.
 */
const ENDPOINT_SAMPLES = 0.5 * SAMPLE_RATE
const LONGEST_UTTERANCE = 19 * SAMPLE_RATE
const FLUSH_CAP = "4 seconds"

const capabilitiesOf = (url: string): EngineCapabilities => ({
  name: "vosk",
  sampleRate: SAMPLE_RATE,
  partials: "replace",
  endOfTurn: "vad",
  mark: "Commits",
  // the stock server alone tells them
  wordTimes: false,
  confidence: true,
  punctuation: false,
  languages: languagesOf(LANGUAGES),
  keepAlive: "None",
  fasterThanRealtime: true,
  local: isLocal(url),
  billed: "Connection"
})

/**
 * Sessions with a Vosk server.
 *
 * Audio goes out as soon as the answer to the last message is here, at most 400 ms at a time: a quick server hears every frame, a slow one
 * larger pieces. Partials replace each other; finals have words with times and confidence where the server gives them. A flush asks for the
 * end of the utterance; servers that do not know how are sent 1.6 s of silence instead. Only finals are certain, so the mark lies behind them: at
 * the end of what was sent where we asked for one, within the silence behind its last word where the server heard a pause, nowhere when it cut a
 * speech without one. Every answer is progress.
 */
export const layer = (options: Options): Layer.Layer<SpeechEngine> =>
  Layer.effect(
    SpeechEngine,
    Effect.map(monotonicMs, (now) => ({
      capabilities: capabilitiesOf(options.url),
      open: ({ language }) => open(options, language, now)
    }))
  )

const open = Effect.fn("VoskEngine.open")(function* (
  options: Options,
  language: LanguageId,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const capabilities = capabilitiesOf(options.url)
  const count = yield* Metrics.engineAudio(capabilities)
  const socket = yield* EngineSocket.open({
    url: options.url,
    openTimeout: "5 seconds",
    maxPayload: VoskProtocol.MAX_MESSAGE_BYTES,
    maxWaitingBytes: 1024 * 1024,
    // A connection that died shows within two of these.
    pingEvery: "10 seconds",
    skipCertVerify: options.skipCertVerify === true
  }).pipe(Effect.mapError(EngineSocket.toEngineError))
  yield* Metrics.engineSession(capabilities)
  const tag = String(known(languagesOf(LANGUAGES), language) ?? "en")
  socket.send(VoskProtocol.configuration(SAMPLE_RATE, tag.replace("-", "_")))

  const ended = yield* Deferred.make<never, EngineError>()
  const broken = yield* Deferred.make<never, EngineError>()
  const lockstep = VoskLockstep.make(MOST_SAMPLES)
  const timeline = StreamTimeline.make(SAMPLE_RATE)
  const mark = EngineMark.make()
  const encode = Pcm16.encoder()
  const utterances = makeUtterances(timeline, tag === "en")
  let dueSinceMs = now()
  let patienceMs = ANSWER_MS
  let answers = 0
  let knowsReset = true
  let isFinished = false
  /** Where the stream was when the newest utterance ended. */
  let endedAt = 0
  let computed = 0

  const breakDown = (detail: string) => {
    Deferred.doneUnsafe(broken, Effect.fail(new EngineError({ reason: "Silent", detail })))
  }
  const advance = (): void => {
    const step = lockstep.next()
    if (step === undefined) return
    dueSinceMs = now()
    patienceMs = step._tag === "Audio" ? ANSWER_MS : END_ANSWER_MS
    if (step._tag !== "Audio") socket.send(step._tag === "Reset" ? VoskProtocol.RESET : VoskProtocol.EOF)
    else if (socket.send(encode(step.pcm))) count(step.pcm.length)
  }
  const silence = (): void => {
    for (let message = 0; message < SILENCE_MESSAGES; message++) {
      timeline.silence(MOST_SAMPLES)
      lockstep.audio(new Float32Array(MOST_SAMPLES))
    }
  }
  const ask = (what: "Reset" | "Eof" | "Reached") =>
    Effect.callback<void>((resume) => {
      lockstep.ask(what, () => resume(Effect.void))
      advance()
    })

  const flush = Effect.suspend(() => {
    if (knowsReset) return ask("Reset")
    silence()
    return ask("Reached")
  }).pipe(Effect.timeoutOrElse({ duration: FLUSH_CAP, orElse: () => Effect.void }))
  const flushing = Effect.raceFirst(flush, Deferred.await(ended))

  /** Sample of the stream up to which everything was said in finals, where that is known. */
  const provenBy = ({ result = [] }: typeof VoskProtocol.Text.Type, step: VoskLockstep.Step): number | undefined => {
    if (step._tag !== "Audio") return step.through
    const lastWordEnds = result.at(-1)?.end
    // a few frames of what it was sent are always computed later: it paused before them
    if (lastWordEnds === undefined)
      return step.through - endedAt < LONGEST_UTTERANCE ? step.through - ENDPOINT_SAMPLES : undefined
    const wordEnd = Math.round(lastWordEnds * SAMPLE_RATE)
    return step.through - wordEnd < ENDPOINT_SAMPLES ? undefined : wordEnd + ENDPOINT_SAMPLES / 2
  }

  const answer = (message: typeof VoskProtocol.Partial.Type | typeof VoskProtocol.Text.Type) => {
    const step = lockstep.answered()
    answers += 1
    const isText = "text" in message
    const cause: EndCause = step?._tag === "Reset" ? "Silence" : step?._tag === "Eof" ? "StreamEnd" : "EngineFinal"
    const said = isText ? utterances.finished(message, cause) : utterances.changed(message.partial)
    const proven = isText && step !== undefined ? provenBy(message, step) : undefined
    if (isText) endedAt = step?.through ?? endedAt
    computed = step?.through ?? computed
    session.progress ??= () => timeline.voiceAt(computed)
    const events = proven === undefined ? said : [...said, ...mark.reach(timeline.voiceAt(proven))]
    /** When the reader has taken the events. */
    const settle = () => {
      mark.settle()
      if (step?._tag === "Reset" && !isText) {
        knowsReset = false
        silence()
        lockstep.ask("Reached", step.done)
      } else if (step !== undefined && step._tag !== "Audio") step.done()
      advance()
    }
    return Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(Effect.sync(settle)))
  }

  const unknown = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "vosk" }), 1)
  const read = ({ data }: EngineSocket.Incoming): Stream.Stream<SpeechEvent, EngineError> => {
    const message = typeof data === "string" ? Option.getOrUndefined(VoskProtocol.parse(data)) : undefined
    const answers = message !== undefined && !("success" in message)
    if (message === undefined || (answers && !lockstep.isDue())) return Stream.fromEffectDrain(unknown)
    if (answers) return answer(message)
    return message.success
      ? Stream.empty
      : Stream.fail(new EngineError({ reason: "Refused", detail: `it has no model for the language ${tag}` }))
  }

  /** A server that computes for longer than anything takes, or has stopped. */
  const overdue = Effect.gen(function* () {
    for (;;) {
      yield* Effect.sleep(WATCH_EVERY)
      const patience = answers === 0 ? FIRST_ANSWER_MS : patienceMs
      if (lockstep.isDue() && now() - dueSinceMs >= patience) breakDown("it does not answer")
    }
  })
  yield* Effect.forkScoped(overdue)

  // a model that is being loaded gives no sign of life
  const session: { -readonly [K in keyof EngineSession]: EngineSession[K] } = {
    send: ({ pcm, position }) => {
      if (isFinished) return
      timeline.frame(position, pcm.length)
      lockstep.audio(pcm)
      if (lockstep.waiting() > MOST_WAITING) breakDown("it does not keep up")
      advance()
    },
    commit: flushing,
    flush: flushing,
    finish: Effect.raceFirst(
      Effect.suspend(() => {
        isFinished = true
        return Effect.timeoutOrElse(ask("Eof"), { duration: FLUSH_CAP, orElse: () => Effect.void })
      }),
      Deferred.await(ended)
    ),
    events: socket.messages.pipe(
      Stream.mapError(EngineSocket.toEngineError),
      Stream.flatMap(read),
      Stream.interruptWhen(Effect.raceFirst(socket.stuck, Deferred.await(broken))),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: mark.position
  }
  return session
})

interface Utterances {
  readonly changed: (partial: string) => ReadonlyArray<SpeechEvent>
  readonly finished: (message: typeof VoskProtocol.Text.Type, cause: EndCause) => ReadonlyArray<SpeechEvent>
}

/** Tells utterances apart by their finals. English models hear "the" in silence: alone it is not said. */
const makeUtterances = (timeline: StreamTimeline.StreamTimeline, isEnglish: boolean): Utterances => {
  let ordinal = 0
  let shown = ""
  const isNoise = (text: string) => text === "" || (isEnglish && text === "the")
  const msAt = (seconds: number) => msOfSamples(timeline.voiceAt(Math.round(seconds * SAMPLE_RATE)))

  const wordOf = ({
    conf,
    end,
    start,
    word
  }: NonNullable<(typeof VoskProtocol.Text.Type)["result"]>[number]): Word => ({
    text: word,
    joiner: "space",
    ...(start === undefined ? {} : { startMs: msAt(start) }),
    ...(end === undefined ? {} : { endMs: msAt(end) }),
    ...(conf === undefined ? {} : { confidence: Math.min(1, Math.max(0, conf)) })
  })

  return {
    changed: (partial) => {
      if (partial === shown || (shown === "" && isNoise(partial))) return []
      shown = partial
      return [{ _tag: "Replaced", item: `u${ordinal}`, text: partial, stableLength: 0, words: [] }]
    },
    finished: ({ result = [], text }, cause) => {
      if (isNoise(text) && shown === "") return []
      shown = ""
      return [{ _tag: "Completed", item: `u${ordinal++}`, text, words: result.map(wordOf), cause }]
    }
  }
}
