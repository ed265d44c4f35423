/**
 * The NeMo streaming module of a tldw server (Parakeet, Canary) as a SpeechEngine: chunks of 2 s, replaced until they are full.
 */
import { Deferred, Effect, Layer, Metric, Option, type Scope, Stream } from "effect"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import { known, languagesOf } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineMark from "./EngineMark.ts"
import type * as EngineSocket from "./EngineSocket.ts"
import { isLocal } from "./Loopback.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as StreamTimeline from "./StreamTimeline.ts"
import * as TldwAddress from "./TldwAddress.ts"
import * as TldwFaults from "./TldwFaults.ts"
import * as TldwProtocol from "./TldwProtocol.ts"
import * as TldwText from "./TldwText.ts"
import * as WordGaps from "./WordGaps.ts"

export interface Options extends TldwAddress.Options {
  /** `parakeet`, `canary`, or whatever else the server has. */
  readonly model: string
  readonly variant: string
}

const RATE = 16_000
/** No server says that it is ready; one that refuses us says so at once, and where it takes longer the events say it. */
const GREETING = "250 millis"
const FLUSH_CAP = "4500 millis"
/**
 * A commit is always answered, and on a processor a chunk takes a second or two; a server that says nothing for so long while one waits does not
 * work. A model may be loaded for the first chunk.
 */
const HUNG_MS = 4_000
const FIRST_HUNG_MS = 20_000
const WATCH_EVERY = "250 millis"
/** Speech without a pause is flushed at the next gap between two words, so that not all of it has to be said again should the session be lost. */
const FLUSH_AT_GAP = 15 * RATE
/** Behind an error the server closes, or does not. */
const FAULT_PATIENCE = "1 second"
/** One chunk, in messages of 0.5 s: whatever the server has of one before, it is full then. */
const SILENCE = new Float32Array(RATE / 2)
const SILENCES = Math.ceil((TldwProtocol.CHUNK_SECONDS * RATE) / SILENCE.length)

/** What it can with this model, and whether the server at this address is on this machine. */
export const capabilitiesOf = ({ model, url }: Pick<Options, "model" | "url">): EngineCapabilities => ({
  name: "tldw",
  model,
  sampleRate: RATE,
  partials: "replace",
  endOfTurn: "commit",
  mark: "Commits",
  wordTimes: false,
  confidence: false,
  punctuation: true,
  languages: languagesOf(/canary/i.test(model) ? ["en", "es", "de", "fr"] : ["en"]),
  keepAlive: "None",
  fasterThanRealtime: true,
  local: isLocal(url),
  billed: "Connection"
})

/**
 * Sessions with a tldw server.
 *
 * A flush fills the chunk with silence and asks for a full transcript, which comes behind everything before it; it gives up after 4.5 s and
 * proves nothing then. It ends the utterance, as a commit does: a flush is asked for at pauses, and in a gap between words where there are
 * none for 15 s. The mark moves with flushes alone: chunks overlap, and which of their words lie before a place nobody tells. An error of the
 * server ends the session, with what its code, or the close behind it, means.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"]> =>
  Effect.map(monotonicMs, (now) => {
    const capabilities = capabilitiesOf(options)
    const spoken = (language: string) => known(capabilities.languages, language) ?? "en"
    return SpeechEngine.of({
      capabilities,
      probe: TldwAddress.probe(options),
      open: ({ language }) => open(options, spoken(language), now)
    })
  })

/** The same as a layer. */
export const layer = (options: Options): Layer.Layer<SpeechEngine> => Layer.effect(SpeechEngine, make(options))

/** A full transcript that was asked for. */
interface Pending {
  readonly upTo: number
  readonly cause: "Commit" | "Silence" | "MaxLength"
  readonly askedMs: number
  readonly done: Deferred.Deferred<void>
}

const open = Effect.fn("TldwEngine.open")(function* (
  options: Options,
  language: string,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const capabilities = capabilitiesOf(options)
  const count = yield* Metrics.engineAudio(capabilities)
  const socket = yield* TldwAddress.dial(options)
  let fault: TldwProtocol.ServerFault | undefined
  socket.send(TldwProtocol.config({ ...options, language }))
  const first = yield* greeting(socket)
  yield* Metrics.engineSession(capabilities)

  const ended = yield* Deferred.make<never, EngineError>()
  const faulted = yield* Deferred.make<void>()
  const timeline = StreamTimeline.make(RATE)
  const mark = EngineMark.make()
  const isGap = WordGaps.make()
  const chunks = TldwText.make(timeline)
  const encode = options.audio === "pcm16" ? Pcm16.base64Encoder() : float32Encoder
  const pending: Array<Pending> = []
  let answered: ReadonlyArray<Pending> = []
  let newest: Pending | undefined
  let sentTo = 0
  /** Samples since the newest flush. */
  let unflushed = 0
  let isHeard = false

  const transmit = (pcm: Float32Array): boolean => {
    const isTaken = socket.send(TldwProtocol.audio(encode(pcm)))
    if (isTaken) count(pcm.length)
    return isTaken
  }

  /** Asks for everything, unless that was done and nothing was sent since. */
  const request = (cause: Pending["cause"]): Pending | undefined => {
    if (unflushed === 0) return newest
    unflushed = 0
    newest = { upTo: sentTo, cause, askedMs: now(), done: Deferred.makeUnsafe<void>() }
    pending.push(newest)
    for (let part = 0; part < SILENCES; part++) if (transmit(SILENCE)) timeline.silence(SILENCE.length)
    socket.send(TldwProtocol.COMMIT)
    return newest
  }
  const flushing = (cause: Pending["cause"]): Effect.Effect<void, EngineError> =>
    Effect.suspend(() => {
      const asked = request(cause)
      const done = asked === undefined ? Effect.void : Deferred.await(asked.done)
      const capped = Effect.timeoutOrElse(done, { duration: FLUSH_CAP, orElse: () => Effect.void })
      return Effect.raceFirst(capped, Deferred.await(ended))
    })

  const answer = (isAutomatic: boolean): ReadonlyArray<SpeechEvent> => {
    const one = isAutomatic ? undefined : pending.shift()
    if (one === undefined) return []
    answered = [...answered, one]
    return [...chunks.complete(one.cause), ...mark.reach(one.upTo)]
  }

  const read = (incoming: EngineSocket.Incoming): Effect.Effect<ReadonlyArray<SpeechEvent>, EngineError> => {
    const message = messageOf(incoming)
    isHeard ||= message?.type === "partial" || message?.type === "full_transcript"
    switch (message?.type) {
      case undefined:
        return Effect.as(unknownMessage, [])
      case "partial":
      case "final":
      case "transcription":
        return Effect.succeed(chunks.read(message))
      case "full_transcript":
        return Effect.succeed(answer(message.auto_commit === true))
      case "error": {
        fault = message
        // what it did not understand nobody knows
        mark.lose(0)
        Deferred.doneUnsafe(faulted, Effect.void)
        const error = TldwFaults.ofFault(message)
        return error === undefined ? Effect.succeed([]) : Effect.fail(error)
      }
      case "warning":
        return Effect.as(warned(message), [])
      default:
        return Effect.succeed([])
    }
  }

  /** After the reader has taken what a message told: only then is it certain. */
  const settle = Effect.sync(() => {
    // who waits for a flush may look at the mark at once
    mark.settle()
    const completed = answered
    answered = []
    for (const { done } of completed) Deferred.doneUnsafe(done, Effect.void)
  })

  const watch = Effect.gen(function* () {
    for (;;) {
      yield* Effect.sleep(WATCH_EVERY)
      const [oldest] = pending
      const patienceMs = isHeard ? HUNG_MS : FIRST_HUNG_MS
      if (oldest !== undefined && now() - oldest.askedMs >= patienceMs && socket.quietMs() >= patienceMs / 2)
        return yield* new EngineError({ reason: "Silent", detail: "it answers no commit" })
    }
  })
  const broken = Deferred.await(faulted).pipe(
    Effect.andThen(Effect.sleep(FAULT_PATIENCE)),
    Effect.andThen(Effect.fail(new EngineError({ reason: "Protocol", detail: "the server reported an error" })))
  )

  return {
    send: ({ pcm, position }) => {
      const isCut = isGap(pcm) && unflushed >= FLUSH_AT_GAP
      if (transmit(pcm)) timeline.frame(position, pcm.length)
      else mark.lose(position)
      unflushed += pcm.length
      const samples = Math.round((pcm.length * SAMPLE_RATE) / RATE)
      // in the middle of the gap: the next word may begin softly at its end
      sentTo = position + (isCut ? Math.floor(samples / 2) : samples)
      if (isCut) request("MaxLength")
    },
    commit: flushing("Commit"),
    flush: flushing("Silence"),
    events: Stream.fromIterable(first).pipe(
      Stream.concat(Stream.mapError(socket.messages, (error) => TldwFaults.ofEnd(error, fault))),
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.interruptWhen(Effect.raceFirst(socket.stuck, Effect.raceFirst(watch, broken))),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: mark.position
  }
})

/** What came at once, if it is no refusal: those come behind the upgrade, as an error and a close. */
const greeting = Effect.fnUntraced(function* (
  socket: EngineSocket.EngineSocket
): Effect.fn.Return<ReadonlyArray<EngineSocket.Incoming>, EngineError> {
  let fault: TldwProtocol.ServerFault | undefined
  const next = Effect.suspend(() => Effect.mapError(socket.take, (error) => TldwFaults.ofEnd(error, fault)))
  const incoming = Option.getOrUndefined(yield* Effect.timeoutOption(next, GREETING))
  if (incoming === undefined) return []
  const message = messageOf(incoming)
  if (message?.type !== "error") return [incoming]
  fault = message
  const error = TldwFaults.ofFault(message)
  if (error !== undefined) return yield* error
  yield* Effect.timeoutOption(next, FAULT_PATIENCE)
  return yield* new EngineError({ reason: "Protocol", detail: "the server reported an error" })
})

const messageOf = ({ data }: EngineSocket.Incoming): TldwProtocol.ServerMessage | undefined =>
  typeof data === "string" ? Option.getOrUndefined(TldwProtocol.parse(data)) : undefined

const unknownMessage = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "tldw" }), 1)

const warned = ({ state, warning_type }: typeof TldwProtocol.Warning.Type): Effect.Effect<void> =>
  (warning_type ?? state) === "model_unavailable"
    ? Effect.logWarning("The tldw server does not have the model of LT_TLDW_MODEL and uses another.")
    : Effect.void

/** Every platform Node runs on is little endian. */
const float32Encoder = (pcm: Float32Array): string =>
  Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString("base64")
