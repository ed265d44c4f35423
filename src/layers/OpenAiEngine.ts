/**
 * OpenAI's Realtime transcription as a SpeechEngine: one websocket a voice, our own commits at pauses, deltas while somebody speaks.
 */
import { Deferred, Effect, Layer, Metric, Option, type Redacted, type Scope, Stream } from "effect"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import { known, type LanguageId, languagesOf } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineMark from "./EngineMark.ts"
import * as EngineSocket from "./EngineSocket.ts"
import { isLocal } from "./Loopback.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as OpenAiAudio from "./OpenAiAudio.ts"
import * as OpenAiCommits from "./OpenAiCommits.ts"
import * as OpenAiFaults from "./OpenAiFaults.ts"
import * as OpenAiItems from "./OpenAiItems.ts"
import * as OpenAiProof from "./OpenAiProof.ts"
import * as OpenAiProtocol from "./OpenAiProtocol.ts"
import * as OpenAiSetup from "./OpenAiSetup.ts"

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
const OPEN_TIMEOUT = "5 seconds"
/** While an item waits for one before it: how often that one is asked after. */
const HELD_POLL = "500 millis"
/** Proxies on the way close what is silent for a minute. */
const PING_EVERY = "20 seconds"
/** What it can with this model, and whether the server at this address is on this machine. */
export const capabilitiesOf = ({ model, url }: Pick<Options, "model" | "url">): EngineCapabilities => ({
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
  local: isLocal(url),
  billed: "Audio"
})

/**
 * Sessions with OpenAI, or with a server that speaks the same.
 *
 * The server is told not to cut by itself, whatever the model: a flush commits what was appended and completes when every item has its text
 * or was given up, after 5 s in any case. Less than 100 ms cannot be committed and stays for the next time. What is said leaves in speaking
 * order, whichever item is ready first, and the mark moves over commits that completed and ended between two words. An item that fails, or does
 * not end while those behind it do, ends the session, so that it is sent again (`OpenAiCommits`). A server that says nothing at all to a commit
 * ends it as `Silent`. What a server refuses of the settings that can be left out is left out from then on.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"]> =>
  Effect.gen(function* () {
    const now = yield* monotonicMs
    const setup = OpenAiSetup.make(options.model)
    const capabilities = capabilitiesOf(options)
    // ISO 639-1, as far as there is one: the hint of the room's language
    const hint = (language: LanguageId): string | undefined => known(capabilities.languages, language)
    return SpeechEngine.of({ capabilities, open: ({ language }) => open(options, setup, hint(language), now) })
  })

/** The same as a layer. */
export const layer = (options: Options): Layer.Layer<SpeechEngine> => Layer.effect(SpeechEngine, make(options))

const open = Effect.fn("OpenAiEngine.open")(function* (
  options: Options,
  setup: OpenAiSetup.OpenAiSetup,
  language: string | undefined,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const capabilities = capabilitiesOf(options)
  const count = yield* Metrics.engineAudio(capabilities)
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
  yield* Metrics.engineSession(capabilities)

  const ended = yield* Deferred.make<never, EngineError>()
  const mark = EngineMark.make()
  const commits = OpenAiCommits.make(mark)
  const items = OpenAiItems.make(commits)
  const audio = OpenAiAudio.make({ items, now, send: socket.send, onAppended: count })
  const quietMs = () => (socket.waitingBytes() > 0 ? 0 : socket.quietMs())
  const proof = OpenAiProof.make({ commits, now, quietMs })

  const unknown = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "openai" }), 1)
  const next = Effect.suspend(() =>
    commits.isHolding() ? Effect.timeoutOption(socket.take, HELD_POLL) : Effect.asSome(socket.take)
  )
  const take = ({ atMs, data }: EngineSocket.Incoming): Effect.Effect<ReadonlyArray<SpeechEvent>, EngineError> => {
    const message = typeof data === "string" ? Option.getOrUndefined(OpenAiProtocol.parse(data)) : undefined
    if (message === undefined) return Effect.as(unknown, [])
    if (message.type !== "error") return Effect.sync(() => items.take(message, atMs))
    const { event_id: eventId, code } = message.error
    const refused = commits.refused(eventId ?? "", code === "input_audio_buffer_commit_empty")
    const error = OpenAiFaults.ofFault(message.error, { mayGoOn: refused !== undefined })
    if (error !== undefined) return Effect.fail(error)
    return refused === undefined ? Effect.as(unknown, []) : Effect.succeed(refused)
  }
  const read = (incoming: Option.Option<EngineSocket.Incoming>) =>
    Effect.map(Option.isNone(incoming) ? Effect.succeed([]) : take(incoming.value), (events) => [
      ...events,
      ...items.giveUp(now())
    ])
  /** When the reader has taken the events. */
  const settle = Effect.suspend(() => {
    mark.settle()
    proof.settled()
    return commits.isBroken()
      ? Effect.fail(new EngineError({ reason: "Protocol", detail: "what was said could not be transcribed" }))
      : Effect.void
  })

  return {
    send: audio.append,
    commit: Effect.sync(() => audio.commit("Commit")),
    flush: Effect.suspend(() => {
      audio.commit("Silence")
      return Effect.raceFirst(proof.allOver, Deferred.await(ended))
    }),
    events: Stream.fromEffectRepeat(next).pipe(
      Stream.onStart(Effect.sync(proof.begun)),
      Stream.mapError(OpenAiFaults.ofSocket),
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.interruptWhen(Effect.raceFirst(socket.stuck, proof.silent)),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: mark.position
  }
})
