/**
 * Kyutai on Modal as a SpeechEngine: spaces between words, keep-alive, and flush by silence, which is all its protocol leaves to us.
 */
import { Deferred, Effect, Layer, Option, type Scope, Stream } from "effect"
import { FRAME_SAMPLES, SAMPLE_RATE } from "../domain/Audio.ts"
import { kyutaiLanguages } from "../domain/Language.ts"
import type { SpeechEvent, Word } from "../domain/Speech.ts"
import { ModalClient, type ModalError, type ModalMessage } from "../services/ModalClient.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineSocket from "./EngineSocket.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import { NO_FREE_CHANNELS } from "./SocketModalClient.ts"

/** Modal's function timeout; a websocket is one call of the function. */
const MAX_SESSION_MS = 30 * 60_000

/** What it can. */
export const capabilities: EngineCapabilities = {
  name: "modal",
  sampleRate: SAMPLE_RATE,
  partials: "append",
  endOfTurn: "none",
  mark: "KnownDelay",
  wordTimes: false,
  confidence: false,
  punctuation: true,
  languages: kyutaiLanguages,
  keepAlive: "Message",
  maxSessionMs: MAX_SESSION_MS,
  fasterThanRealtime: true,
  local: false,
  // by the second in which a container is up, with a GPU
  billed: "Connection"
}

/** A full moshi-server, or a dead one, behind Modal's proxy: it closes with the first audio. */
const AT_ONCE_MS = 5_000
/** The server hangs up 30 s after the last binary message. */
const KEEP_ALIVE_MS = 10_000
/** Kyutai's model is 0.5 s behind; 13 frames push the last word out, with the word's own completion. */
const FLUSH_FRAMES = 13
const QUIET_MS = 700
const FLUSH_CAP_MS = 3_000
const SILENCE = new Float32Array(FRAME_SAMPLES)
/** The protocol has no utterances: a session is one item, and words are only ever added to it. */
const ITEM = "words"

/**
 * Sessions with Kyutai on Modal through `ModalClient`.
 *
 * Words come one by one as soon as they arrive, without times. A flush is 13 frames of silence and reading on until no word came for
 * 700 ms, at most 3 s; frames sent meanwhile go behind the silence. The mark moves only when a flush ended in quiet, everything before
 * it was taken by the socket, and at least one word came since the mark last moved: a server that says nothing has proved nothing.
 */
export const layer: Layer.Layer<SpeechEngine, never, ModalClient> = Layer.effect(
  SpeechEngine,
  Effect.gen(function* () {
    const client = yield* ModalClient
    const now = yield* monotonicMs
    return { capabilities, open: () => open(client, now) }
  })
)

const open = Effect.fn("ModalEngine.open")(function* (
  client: ModalClient["Service"],
  now: () => number
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const count = yield* Metrics.engineAudio(capabilities)
  const socket = yield* Effect.mapError(client.open, toEngineError)
  yield* Metrics.engineSession(capabilities)
  const openedMs = now()

  const ended = yield* Deferred.make<never, EngineError>()
  const words = wordReader()
  let lastSentMs = now()
  let lastTokenMs = 0
  let tokens = 0
  let sentTo = 0
  let lossless = true
  let mark = 0
  let tokensAtMark = 0

  const send = (pcm: Float32Array): void => {
    lastSentMs = now()
    if (socket.send(pcm)) count(pcm.length)
    else lossless = false
  }

  yield* Effect.gen(function* () {
    const idleMs = now() - lastSentMs
    if (idleMs >= KEEP_ALIVE_MS) {
      socket.keepAlive()
      lastSentMs = now()
    }
    yield* Effect.sleep(Math.max(1, lastSentMs + KEEP_ALIVE_MS - now()))
  }).pipe(Effect.forever, Effect.forkScoped)

  const flush = Effect.gen(function* () {
    const upTo = sentTo
    for (let frame = 0; frame < FLUSH_FRAMES; frame++) send(SILENCE)
    const startedMs = now()
    const quietIn = () => Math.max(startedMs, lastTokenMs) + QUIET_MS - now()
    const capIn = () => startedMs + FLUSH_CAP_MS - now()
    while (quietIn() > 0 && capIn() > 0) yield* Effect.sleep(Math.max(1, Math.min(quietIn(), capIn())))
    if (quietIn() > 0 || !lossless || tokens === tokensAtMark) return
    mark = Math.max(mark, upTo)
    tokensAtMark = tokens
  })

  const read = (message: ModalMessage): Option.Option<SpeechEvent> => {
    if (message._tag !== "Token") return Option.none()
    const found = words(message.text)
    if (found.length === 0) return Option.none()
    tokens += 1
    lastTokenMs = message.atMs
    return Option.some({ _tag: "Appended", item: ITEM, words: found })
  }

  return {
    send: (frame) => {
      send(frame.pcm)
      sentTo = frame.position + frame.pcm.length
    },
    commit: Effect.void,
    flush: Effect.raceFirst(flush, Deferred.await(ended)),
    events: socket.messages.pipe(
      Stream.mapError((error) => endOf(error, tokens, now() - openedMs)),
      Stream.tapError((error) => Deferred.fail(ended, error)),
      Stream.map(read),
      Stream.filter(Option.isSome),
      Stream.map((event) => event.value)
    ),
    mark: () => mark
  }
})

/**
 * Cuts tokens into words and says what stands between them.
 *
 * Today's server sends whole words without spaces, so a space goes before each; an older one sends pieces of words, where a leading
 * space means a new word and its absence that the word goes on. The first token tells which.
 */
const wordReader = (): ((token: string) => Array<Word>) => {
  let pieces: boolean | undefined
  let spaceBefore = true
  return (token) => {
    const parts = token.split(/\s+/).filter((part) => part !== "")
    if (parts.length > 0) pieces ??= /^\s/.test(token)
    if (/^\s/.test(token)) spaceBefore = true
    return parts.map((text, index) => {
      const apart = index > 0 || spaceBefore || (pieces === false && !/^[,.;:!?…%)\]}»”’]+$/.test(text))
      spaceBefore = index === parts.length - 1 && /\s$/.test(token)
      return { text, joiner: apart ? "space" : "none" }
    })
  }
}

/** Today's server closes with 1000 whatever the cause; when it does so tells more. */
const endOf = (error: ModalError, tokens: number, aliveMs: number): EngineError => {
  if (error.reason !== "Closed" || error.code !== 1000) return toEngineError(error)
  if (tokens === 0 && aliveMs < AT_ONCE_MS)
    return new EngineError({ reason: "Busy", detail: "the server closed at once: it is full or broken" })
  return aliveMs < MAX_SESSION_MS - AT_ONCE_MS
    ? toEngineError(error)
    : new EngineError({ reason: "LimitReached", detail: "the session was as old as a session can get" })
}

const toEngineError = ({ code, detail, reason }: ModalError): EngineError => {
  switch (reason) {
    case "ServerError":
      return new EngineError({ reason: detail === NO_FREE_CHANNELS ? "Busy" : "Protocol", detail })
    case "Silent":
      return new EngineError({ reason, detail })
    default:
      return EngineSocket.toEngineError({ reason, detail, ...(code === undefined ? {} : { code }) })
  }
}
