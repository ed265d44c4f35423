/**
 * Kyutai's own server (moshi-server) as a SpeechEngine: word times, predicted pauses for the ends of utterances, and a real flush.
 */
import { Deferred, Effect, Layer, Metric, Option, Redacted, type Scope, Stream } from "effect"
import { FRAME_SAMPLES, SAMPLE_RATE } from "../domain/Audio.ts"
import { kyutaiLanguages } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineMark from "./EngineMark.ts"
import * as EngineProbe from "./EngineProbe.ts"
import * as EngineSocket from "./EngineSocket.ts"
import { isLocal } from "./Loopback.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as MoshiFlushes from "./MoshiFlushes.ts"
import * as MoshiProtocol from "./MoshiProtocol.ts"
import * as MoshiTurns from "./MoshiTurns.ts"
import * as StreamTimeline from "./StreamTimeline.ts"

export interface Options {
  /** `ws://host:8080/api/asr-streaming`; without a path, that one. */
  readonly url: string
  /** One of the server's `authorized_ids`. Absent: none is sent, which a stock server refuses. */
  readonly key?: Redacted.Redacted | undefined
  readonly skipCertVerify?: boolean
}

/** What it can, and whether the server at this address is on this machine. */
export const capabilitiesOf = (url: string): EngineCapabilities => ({
  name: "moshi",
  sampleRate: SAMPLE_RATE,
  partials: "append",
  endOfTurn: "semantic",
  mark: "WordTimes",
  wordTimes: true,
  confidence: false,
  punctuation: true,
  languages: kyutaiLanguages,
  keepAlive: "Message",
  fasterThanRealtime: true,
  local: isLocal(url),
  billed: "Connection"
})

/** A server on the other side of the earth answers within a second; it listens only when its model is loaded. */
const OPEN_TIMEOUT = "5 seconds"
/** A server that has a channel says so at once. */
const READY_TIMEOUT = "3 seconds"
/** 17 s of audio that the network did not take: such a connection will not catch up. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024
/** The server drops who sends no frame of any kind for 20 s: the answers to our pings are its frames, and our pings ours. */
const PING_EVERY = "8 seconds"
/** It also drops who sends no binary message for 120 s. */
const KEEP_ALIVE_MS = 30_000
/** A model computes a step in less than 80 ms; one that was sent audio and has told none for so long hangs. */
const HUNG_MS = 2_000
const WATCH_EVERY = "250 millis"
const FLUSH_CAP = "4 seconds"
/** The 2.6B model misses the first words without a second of silence before them, says Kyutai's own client. The 1B model does not need it. */
const LEAD_IN_FRAMES = 13
const PATH = "/api/asr-streaming"
const MODULES_PATH = "/api/modules_info"
const NO_AUDIO = MoshiProtocol.audioEncoder()(new Float32Array(0))
const SILENCE = MoshiProtocol.audioEncoder()(new Float32Array(FRAME_SAMPLES))

/** What sessions have shown about the server: the 1B model tells steps, the 2.6B model does not. */
interface Server {
  tellsSteps: boolean | undefined
}

/**
 * Sessions with a moshi-server.
 *
 * Words come as soon as they are told, with their place in the voice; utterances end at predicted pauses. A flush is a marker in enough
 * silence, and completes when it comes back and the steps say that it was not early (on a busy server it can be); after 4 s it gives up,
 * and proves nothing. The silence is in no time that is told. The mark is where the newest told word begins, or the end of what was flushed
 * (see `MoshiTurns`); progress are the steps of a model that tells them. A full server (`Error` in place of `Ready`) is `Busy`, a wrong key `Refused`;
 * a session in which nothing is computed any more ends as `Silent`.
 */
export const make = (options: Options): Effect.Effect<SpeechEngine["Service"]> =>
  Effect.map(monotonicMs, (now) => {
    const server: Server = { tellsSteps: undefined }
    const capabilities = capabilitiesOf(options.url)
    return SpeechEngine.of({ capabilities, probe: probe(options), open: () => open(options, server, now) })
  })

/** The same as a layer. */
export const layer = (options: Options): Layer.Layer<SpeechEngine> => Layer.effect(SpeechEngine, make(options))

const open = Effect.fn("MoshiEngine.open")(function* (
  options: Options,
  server: Server,
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const metrics = yield* Effect.context<never>()
  const capabilities = capabilitiesOf(options.url)
  const count = yield* Metrics.engineAudio(capabilities)
  const socket = yield* dial(options)
  yield* Effect.timeoutOrElse(greeted(socket), {
    duration: READY_TIMEOUT,
    orElse: () => Effect.fail(new EngineError({ reason: "Silent", detail: "it did not say that it is ready" }))
  })
  yield* Metrics.engineSession(capabilities)

  const ended = yield* Deferred.make<never, EngineError>()
  const timeline = StreamTimeline.make(SAMPLE_RATE)
  const mark = EngineMark.make()
  const turns = MoshiTurns.make(timeline, mark)
  const flushes = MoshiFlushes.make(turns, mark)
  const encode = MoshiProtocol.audioEncoder()
  let lastSentMs = now()
  /** When the first audio was sent that nothing has come for. */
  let unansweredMs = Number.NEGATIVE_INFINITY
  let sentTo = 0

  const transmit = (message: Uint8Array): boolean => {
    lastSentMs = now()
    return socket.send(message)
  }
  const isAnswered = () => now() - socket.quietMs() >= unansweredMs
  const transmitAudio = (message: Uint8Array, samples: number): boolean => {
    if (isAnswered()) unansweredMs = now()
    const isTaken = transmit(message)
    if (isTaken) count(samples)
    return isTaken
  }
  const sendSilence = (frames: number): void => {
    for (let frame = 0; frame < frames; frame++)
      if (transmitAudio(SILENCE, FRAME_SAMPLES)) timeline.silence(FRAME_SAMPLES)
  }
  if (server.tellsSteps !== true) sendSilence(LEAD_IN_FRAMES)

  /** Marks the end of what was sent, unless that was done and nothing was sent since. */
  const request = (completes: boolean): MoshiFlushes.Flush | undefined => {
    const before = flushes.newest(sentTo)
    if (before !== undefined && (!completes || !turns.isOpen())) return before
    if (sentTo === 0) return undefined
    const padding = MoshiFlushes.paddingFrames(turns.steps() > 0 || server.tellsSteps === true)
    const flush = flushes.add({ upTo: sentTo, stepsUpTo: Math.ceil(timeline.sent() / FRAME_SAMPLES), completes })
    sendSilence(padding)
    transmit(MoshiProtocol.marker(flush.id))
    sendSilence(padding)
    return flush
  }
  const flushing = (completes: boolean): Effect.Effect<void, EngineError> =>
    Effect.suspend(() => {
      const flush = request(completes)
      const done = flush === undefined ? Effect.void : Deferred.await(flush.done)
      const capped = Effect.timeoutOrElse(done, { duration: FLUSH_CAP, orElse: () => Effect.void })
      return Effect.raceFirst(capped, Deferred.await(ended))
    })

  const read = (incoming: EngineSocket.Incoming): Effect.Effect<ReadonlyArray<SpeechEvent>, EngineError> => {
    const message = messageOf(incoming)
    if (message === undefined) return Effect.as(unknownMessage, [])
    if (message.type === "Error") return Effect.fail(faultOf(message.message))
    const events = turns.read(message)
    if (message.type === "Step") Metrics.engineLag.updateUnsafe((message.buffered_pcm ?? 0) / SAMPLE_RATE, metrics)
    if (turns.steps() > 0) {
      server.tellsSteps = true
      session.progress ??= () => timeline.voiceAt(turns.steps() * FRAME_SAMPLES)
    } else if (turns.words() > 0) server.tellsSteps = false
    return Effect.succeed([...events, ...flushes.read(message)])
  }

  /** After the reader has taken what a message told: only then is it certain. */
  const settle = Effect.sync(() => {
    // who waits for a flush may look at the mark at once
    mark.settle()
    flushes.settle()
  })

  /** Fails when audio was sent and nothing has come since for too long. */
  const watch = Effect.gen(function* () {
    for (;;) {
      yield* Effect.sleep(WATCH_EVERY)
      if (now() - lastSentMs >= KEEP_ALIVE_MS) transmit(NO_AUDIO)
      if (turns.steps() > 0 && !isAnswered() && now() - unansweredMs >= HUNG_MS)
        return yield* new EngineError({ reason: "Silent", detail: "it computes nothing any more" })
    }
  })

  // whether a model tells its steps shows with the first of them
  const session: { -readonly [K in keyof EngineSession]: EngineSession[K] } = {
    send: ({ pcm, position }) => {
      if (transmitAudio(encode(pcm), pcm.length)) timeline.frame(position, pcm.length)
      else mark.lose(position)
      sentTo = position + pcm.length
    },
    commit: flushing(true),
    flush: flushing(false),
    events: socket.messages.pipe(
      Stream.mapError(EngineSocket.toEngineError),
      Stream.mapEffect(read),
      Stream.flatMap((events) => Stream.concat(Stream.fromIterable(events), Stream.fromEffectDrain(settle))),
      Stream.interruptWhen(Effect.raceFirst(socket.stuck, watch)),
      Stream.tapError((error) => Deferred.fail(ended, error))
    ),
    mark: mark.position
  }
  return session
})

const addressOf = (url: string): URL | null => {
  const address = URL.parse(url)
  if (address?.pathname === "/") address.pathname = PATH
  return address
}

/** Whether it is there, and has a free channel. */
const probe = ({ url, skipCertVerify }: Options): Effect.Effect<void, EngineError> => {
  const page = addressOf(url)
  if (page !== null) {
    // behind a proxy all of its paths have the same beginning
    page.pathname = page.pathname.endsWith(PATH) ? page.pathname.slice(0, -PATH.length) + MODULES_PATH : MODULES_PATH
    page.search = ""
  }
  return EngineProbe.ask({ url: page?.href ?? url, skipCertVerify: skipCertVerify === true }).pipe(
    Effect.flatMap((modules) =>
      MoshiProtocol.isFull(modules, PATH)
        ? Effect.fail(new EngineError({ reason: "Busy", detail: "no free channels" }))
        : Effect.void
    )
  )
}

const dial = ({ url, key, skipCertVerify }: Options) => {
  const address = addressOf(url)
  return EngineSocket.open({
    url: address?.href ?? url,
    headers: key === undefined ? {} : { "kyutai-api-key": Redacted.value(key) },
    openTimeout: OPEN_TIMEOUT,
    maxPayload: MoshiProtocol.MAX_MESSAGE_BYTES * 8,
    maxWaitingBytes: MAX_WAITING_BYTES,
    pingEvery: PING_EVERY,
    skipCertVerify: skipCertVerify === true
  }).pipe(Effect.mapError(EngineSocket.toEngineError))
}

/** Completes with `Ready`. */
const greeted = Effect.fnUntraced(function* (socket: EngineSocket.EngineSocket) {
  for (;;) {
    const message = messageOf(yield* Effect.mapError(socket.take, EngineSocket.toEngineError))
    if (message?.type === "Ready") return
    if (message?.type === "Error") return yield* faultOf(message.message)
    yield* unknownMessage
  }
})

const messageOf = ({ data }: EngineSocket.Incoming): MoshiProtocol.ServerMessage | undefined =>
  typeof data === "string" ? undefined : Option.getOrUndefined(MoshiProtocol.parse(data))

const unknownMessage = Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "moshi" }), 1)

/** The server's own words are not passed on: they could quote what was said. */
const faultOf = (message: string): EngineError =>
  /no free channels|capacity/i.test(message)
    ? new EngineError({ reason: "Busy", detail: "no free channels" })
    : new EngineError({ reason: "Protocol", detail: "the server reported an error" })
