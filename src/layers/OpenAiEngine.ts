/**
 * OpenAI's Realtime transcription as a SpeechEngine: one websocket a voice, our own commits at pauses, deltas while somebody speaks.
 */
import { Deferred, Effect, Layer, Metric, Option, type Redacted, type Scope, Stream } from "effect"
import { type AudioFrame, SAMPLE_RATE } from "../domain/Audio.ts"
import type { LanguageId } from "../domain/Language.ts"
import { known, languagesOf } from "../domain/Language.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import {
  type EngineCapabilities,
  type EngineError,
  type EngineSession,
  SpeechEngine
} from "../services/SpeechEngine.ts"
import * as EngineSocket from "./EngineSocket.ts"
import * as Metrics from "./Metrics.ts"
import * as OpenAiFaults from "./OpenAiFaults.ts"
import * as OpenAiItems from "./OpenAiItems.ts"
import * as OpenAiProtocol from "./OpenAiProtocol.ts"
import * as OpenAiSetup from "./OpenAiSetup.ts"
import * as Pcm16 from "./Pcm16.ts"

export interface Options {
  /** `wss://api.openai.com/v1/realtime`, or another server that speaks the same. */
  readonly url: string
  /** Absent: none is sent, for a server of one's own. */
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model: string
  readonly skipCertVerify?: boolean
}

/** https://platform.openai.com/docs/guides/speech-to-text: the languages with less than half of the words wrong. */
const LANGUAGES = (
  "en es fr de it pt nl ru zh ja ko ar hi tr pl uk vi id sv cs el ro hu da fi no he th fa ms bg hr sk sl sr lt lv et ca gl " +
  "is mk bs az hy be kk ur ta mr kn ne tl sw af cy mi"
).split(" ")

/** Seconds of audio in base64: such a connection will not catch up. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024
const OPEN_TIMEOUT = "20 seconds"
/** Proxies on the way close what is silent for a minute. */
const PING_EVERY = "20 seconds"
/** Speech without a pause is committed at the next quiet frame after the first, and anyhow after the second: the models take turns. */
const COMMIT_AT_QUIET = 20 * SAMPLE_RATE
const COMMIT_ANYHOW = 30 * SAMPLE_RATE
/** A frame with less than this part of the usual power lies between two words. */
const QUIET = 0.1
const FLUSH_CAP = "5 seconds"
/** 5 s of one append: a tenth of a megabyte, where 15 are allowed. */
const MAX_APPEND_SAMPLES = 5 * SAMPLE_RATE

export const capabilitiesOf = (model: string): EngineCapabilities => ({
  name: "openai",
  model,
  sampleRate: SAMPLE_RATE,
  partials: "append",
  endOfTurn: "commit",
  mark: "Commits",
  wordTimes: false,
  // whoever gives log probabilities is not documented per model; the 4o models do
  confidence: model.startsWith("gpt-4o"),
  punctuation: true,
  languages: languagesOf(LANGUAGES),
  keepAlive: "Message",
  maxSessionMs: 60 * 60_000,
  fasterThanRealtime: true,
  local: false
})

/**
 * Sessions with OpenAI, or with a server that speaks the same.
 *
 * The server is told not to cut by itself, whatever the model: a flush commits what was appended and completes when every item has its text
 * or was given up, after 5 s in any case. Less than 100 ms cannot be committed and stays for the next time. The mark moves over commits
 * that completed, in order. What a server refuses of the settings that can be left out is left out from then on.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"]> =>
  Effect.sync(() => {
    const setup = OpenAiSetup.make(options.model)
    const capabilities = capabilitiesOf(options.model)
    return SpeechEngine.of({ capabilities, open: ({ language }) => open(options, setup, languageHint(language)) })
  })

export const layer = (options: Options): Layer.Layer<SpeechEngine> => Layer.effect(SpeechEngine, make(options))

/** ISO 639-1, as far as there is one. */
const languageHint = (language: LanguageId): string | undefined => {
  const tag = known(languagesOf(LANGUAGES), language)
  return tag === undefined ? undefined : String(tag)
}

const open = Effect.fn("OpenAiEngine.open")(function* (
  options: Options,
  setup: OpenAiSetup.OpenAiSetup,
  language: string | undefined
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const metrics = yield* Effect.context<never>()
  const target = yield* OpenAiSetup.targetOf(options)
  const socket = yield* EngineSocket.open({
    ...target,
    openTimeout: OPEN_TIMEOUT,
    maxPayload: OpenAiProtocol.MAX_MESSAGE_BYTES,
    maxWaitingBytes: MAX_WAITING_BYTES,
    pingEvery: PING_EVERY,
    skipCertVerify: options.skipCertVerify === true
  }).pipe(Effect.mapError(OpenAiFaults.ofSocket))
  yield* setup.agree(socket, language)
  yield* Metric.update(Metrics.engineSessions, 1)
  yield* Effect.acquireRelease(Metric.modify(Metrics.engineSessionsActive, 1), () =>
    Metric.modify(Metrics.engineSessionsActive, -1)
  )

  const ended = yield* Deferred.make<never, EngineError>()
  const items = OpenAiItems.make()
  const encoder = Pcm16.base64Encoder()
  const power = averagePower()
  const waiting = new Set<{ readonly commits: number; readonly over: Deferred.Deferred<void> }>()
  /** The socket took everything so far; nothing behind a loss is ever proven. */
  let isWhole = true
  let mark = 0

  const send = (message: string): boolean => {
    isWhole = isWhole && socket.send(message)
    return isWhole
  }
  const commitNow = (cause: EndCause): void => {
    const eventId = isWhole ? items.commit(cause) : undefined
    if (eventId !== undefined) send(JSON.stringify(OpenAiProtocol.commit(eventId)))
  }

  const append = ({ pcm, position }: AudioFrame): void => {
    for (let from = 0; from < pcm.length; from += MAX_APPEND_SAMPLES) {
      const part = pcm.subarray(from, from + MAX_APPEND_SAMPLES)
      if (!send(OpenAiProtocol.append(encoder(part)))) return
      items.appended(part.length, position + from + part.length)
    }
    Metrics.engineAudioSeconds.updateUnsafe(pcm.length / SAMPLE_RATE, metrics)
    const isQuiet = power(pcm) < QUIET
    const samples = items.uncommitted()
    if (samples >= COMMIT_ANYHOW || (samples >= COMMIT_AT_QUIET && isQuiet)) commitNow("MaxLength")
  }

  /** After the reader has taken what an event told: only then is it certain. */
  const settle = Effect.sync(() => {
    mark = items.mark()
    for (const one of waiting) if (items.areOver(one.commits)) Deferred.doneUnsafe(one.over, Effect.void)
  })

  const flush = Effect.gen(function* () {
    commitNow("Silence")
    const one = { commits: items.commits(), over: Deferred.makeUnsafe<void>() }
    if (items.areOver(one.commits)) return
    waiting.add(one)
    yield* Deferred.await(one.over).pipe(
      Effect.timeoutOrElse({ duration: FLUSH_CAP, orElse: () => Effect.void }),
      Effect.ensuring(Effect.sync(() => waiting.delete(one)))
    )
  })

  const unknown = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "openai" }), 1)
  const read = ({ data }: EngineSocket.Incoming): Effect.Effect<ReadonlyArray<SpeechEvent>, EngineError> => {
    const message = typeof data === "string" ? Option.getOrUndefined(OpenAiProtocol.parse(data)) : undefined
    if (message === undefined) return Effect.as(unknown, [])
    if (message.type !== "error") return Effect.sync(() => items.take(message))
    const { event_id: eventId, code } = message.error
    const isCommit = items.refused(eventId ?? "", code === "input_audio_buffer_commit_empty")
    const error = OpenAiFaults.ofFault(message.error, { mayGoOn: isCommit })
    return error === undefined ? Effect.as(isCommit ? Effect.void : unknown, []) : Effect.fail(error)
  }

  return {
    send: append,
    commit: Effect.sync(() => commitNow("Commit")),
    flush: Effect.raceFirst(flush, Deferred.await(ended)),
    events: socket.messages.pipe(
      Stream.mapError(OpenAiFaults.ofSocket),
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.interruptWhen(socket.stuck),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: () => mark
  }
})

/** Power of a piece of audio in parts of what was usual in the seconds before it. */
const averagePower = (): ((pcm: Float32Array) => number) => {
  let usual = 0
  return (pcm) => {
    let sum = 0
    for (const sample of pcm) sum += sample * sample
    const power = pcm.length === 0 ? 0 : sum / pcm.length
    usual = usual === 0 ? power : usual * 0.95 + power * 0.05
    return usual === 0 ? 1 : power / usual
  }
}
