/**
 * Kyutai on Modal as a SpeechEngine: spaces between words, keep-alive, and flush by silence, which is all its protocol leaves to us.
 */
import { Cause, Deferred, Effect, Exit, Latch, Layer, type Scope, Stream } from "effect"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import { kyutaiLanguages } from "../domain/Language.ts"
import type { SpeechEvent, Word } from "../domain/Speech.ts"
import { ModalClient, type ModalError, type ModalMessage } from "../services/ModalClient.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import * as EngineSocket from "./EngineSocket.ts"
import * as Metrics from "./Metrics.ts"
import * as ModalFlushes from "./ModalFlushes.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Relay from "./Relay.ts"
import * as RetryAfter from "./RetryAfter.ts"
import { NO_FREE_CHANNELS } from "./SocketModalClient.ts"

/** Modal's function timeout; a websocket is one call of the function. */
const MAX_SESSION_MS = 30 * 60_000

/** What it can, on a server elsewhere. */
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
/** So many events wait for the reader before the socket is not read any more. */
const EVENT_CAPACITY = 64
/** The protocol has no utterances: a session is one item, and words are only ever added to it. */
const ITEM = "words"

/**
 * Sessions with Kyutai on Modal through `ModalClient`.
 *
 * Words come one by one as soon as they arrive, without times. A flush is silence (see `ModalFlushes`) and reading on until no word came for
 * 700 ms, as long as words come; frames sent meanwhile go behind the silence. The mark moves when a flush ended in quiet, everything before
 * it was taken by the socket, at least one word came since the silence (a server that says nothing has proved nothing), and none of those
 * words can be about what was sent behind it.
 */
export const layer: Layer.Layer<SpeechEngine, never, ModalClient> = Layer.effect(
  SpeechEngine,
  Effect.gen(function* () {
    const client = yield* ModalClient
    const now = yield* monotonicMs
    return {
      capabilities: { ...capabilities, local: client.isLocal },
      probe: Effect.mapError(client.probe, toEngineError),
      open: () => open(client, now)
    }
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
  // words and marks in one line; the socket is not read while it is full, nothing is dropped
  const roomy = Latch.makeUnsafe(true)
  const isFull = () => waiting.size() >= EVENT_CAPACITY
  const waiting = Relay.line<SpeechEvent>(() => {
    if (!isFull()) roomy.openUnsafe()
  })
  const events = Relay.make<SpeechEvent, EngineError>(waiting)
  const words = wordReader()
  let lastSentMs = now()
  let hasSpoken = false
  let lossless = true
  let mark = 0
  let flushing = Effect.void

  const send = (pcm: Float32Array): void => {
    lastSentMs = now()
    if (socket.send(pcm)) count(pcm.length)
    else lossless = false
  }
  const flushes = ModalFlushes.make(send, now)

  yield* Effect.gen(function* () {
    const idleMs = now() - lastSentMs
    if (idleMs >= KEEP_ALIVE_MS) {
      socket.keepAlive()
      lastSentMs = now()
    }
    yield* Effect.sleep(Math.max(1, lastSentMs + KEEP_ALIVE_MS - now()))
  }).pipe(Effect.forever, Effect.forkScoped)

  const read = (message: ModalMessage): Effect.Effect<void> | undefined => {
    if (message._tag !== "Token") return undefined
    const found = words(message.text)
    if (found.length === 0) return undefined
    hasSpoken = true
    flushes.told(message.atMs)
    events.put({ _tag: "Appended", item: ITEM, words: found })
    if (!isFull()) return undefined
    roomy.closeUnsafe()
    return roomy.await
  }
  const finish = (exit: Exit.Exit<void, EngineError>) => {
    const cause = Exit.isFailure(exit)
      ? exit.cause
      : Cause.fail(new EngineError({ reason: "Closed", detail: "the connection ended" }))
    events.end(Effect.failCause(cause))
    return Deferred.failCause(ended, cause)
  }
  const reading: Effect.Effect<void, ModalError> =
    socket.hear?.(read) ?? Stream.runForEach(socket.messages, (message) => read(message) ?? Effect.void)
  yield* reading.pipe(
    Effect.mapError((error) => endOf(error, hasSpoken, now() - openedMs)),
    Effect.onExit(finish),
    Effect.ignore,
    Effect.forkScoped
  )

  const markUpTo = (position: number): void => {
    // while words wait in the socket nobody knows what they are about
    if (!lossless || position <= mark || isFull()) return
    mark = position
    events.put({ _tag: "Marked", position })
  }
  const untilQuiet = Effect.fnUntraced(function* (flush: ModalFlushes.ModalFlush) {
    do {
      while (flush.waitMs() > 0) {
        yield* Effect.sleep(Math.max(1, flush.waitMs()))
        // what came in the same moment is about to be read
        yield* Effect.yieldNow
      }
    } while (flush.goOn())
    const proven = flush.end()
    if (proven !== undefined) markUpTo(proven)
  })
  const flush = Effect.suspend(() => {
    if (!flushes.isDue()) return flushing
    const done = Deferred.makeUnsafe<void>()
    const one = flushes.begin()
    flushing = Deferred.await(done)
    return untilQuiet(one).pipe(
      Effect.ensuring(
        Effect.suspend(() => {
          one.end()
          return Deferred.succeed(done, undefined)
        })
      )
    )
  })

  return {
    send: (frame) => {
      send(frame.pcm)
      flushes.sent(frame)
    },
    copies: true,
    commit: Effect.void,
    flush: Effect.raceFirst(flush, Deferred.await(ended)),
    events: Stream.fromEffectRepeat(events.next),
    hear: events.read,
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
const endOf = (error: ModalError, hasSpoken: boolean, aliveMs: number): EngineError => {
  if (error.reason !== "Closed" || error.code !== 1000) return toEngineError(error)
  if (!hasSpoken && aliveMs < AT_ONCE_MS)
    return new EngineError({ reason: "Busy", detail: "the server closed at once: it is full or broken" })
  return aliveMs < MAX_SESSION_MS - AT_ONCE_MS
    ? toEngineError(error)
    : new EngineError({ reason: "LimitReached", detail: "the session was as old as a session can get" })
}

const toEngineError = ({ code, detail, reason, retryAfterMs }: ModalError): EngineError => {
  switch (reason) {
    case "ServerError":
      return new EngineError({ reason: detail === NO_FREE_CHANNELS ? "Busy" : "Protocol", detail })
    case "Silent":
      return new EngineError({ reason, detail })
    default:
      return EngineSocket.toEngineError({
        reason,
        detail,
        ...(code === undefined ? {} : { code }),
        ...RetryAfter.part(retryAfterMs)
      })
  }
}
