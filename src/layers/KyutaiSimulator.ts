/**
 * Kyutai on Modal, simulated: a real websocket server with its protocol and habits, which understands synthetic speech (`ToneModem`).
 *
 * What is real: the wire (binary float32 at 24 kHz in, one `token` message per word without spaces out), steps of 80 ms, the model's delay
 * of half a second of *audio*, cold starts, the close with 1000 after 30 s without audio, after a text frame and after a message that is
 * not whole samples. What is not: the ears.
 *
 * For other processes the server also answers `GET /log` (every word it told), `GET /counters` and `POST /control`.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, Fiber, FiberSet, Result, Schema, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import * as SimulatedRecogniser from "./SimulatedRecogniser.ts"
import * as ToneModem from "./ToneModem.ts"

/**
 * How the server treats whoever connects: serve, 401, 503, an upgrade that is never answered, close 1000 at once (a full moshi-server),
 * an error message and then close 1000, a connection that is dead from the start (`halfOpen`), silence, or messages that make no sense in
 * place of words (the last two also for those who are connected).
 */
export const Behaviour = Schema.Literals([
  "serve",
  "refuse",
  "unavailable",
  "neverOpen",
  "close",
  "error",
  "halfOpen",
  "silent",
  "garbage"
])
export type Behaviour = typeof Behaviour.Type

/**
 * What a test may do to the server while it runs. `Behave` also ends `Slow`. To the sessions that are open now, while later ones are served:
 * `Kill` ends them, as a crash or politely with 1000; `Stall`: they are told no word any more; `HalfOpen`: their sockets stay, and nothing is
 * read or answered, pings neither. `Slow`: everybody's audio is computed at `speed` times real time, so below 1 the words of who speaks
 * come later and later. `Cool` makes the next start cold.
 */
export const Control = Schema.Union([
  Schema.TaggedStruct("Behave", { as: Behaviour }),
  Schema.TaggedStruct("Kill", { how: Schema.Literals(["crash", "close"]) }),
  Schema.TaggedStruct("Stall", {}),
  Schema.TaggedStruct("HalfOpen", {}),
  Schema.TaggedStruct("Slow", { speed: Schema.Finite.check(Schema.isGreaterThan(0)) }),
  Schema.TaggedStruct("Cool", {})
])
export type Control = typeof Control.Type

export interface KyutaiSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** Audio that must follow a word, ms; 500 as the 1B model. */
  readonly delayMs?: number
  /** How long the first upgrade waits for the container, ms. */
  readonly coldStartMs?: number
  readonly idleCloseMs?: number
  readonly maxSessionMs?: number
  readonly format?: ToneModem.ToneFormat
  readonly punctuation?: boolean
}

/** A word that was sent. Times are ms since 1970, fractional, so that other processes on the machine can subtract. */
export interface ToldWord extends SimulatedRecogniser.RecognisedWord {
  readonly session: number
  readonly tokenSentAtMs: number
}

export interface KyutaiCounters {
  readonly opened: number
  readonly active: number
  readonly refused: number
  /** Seconds of audio that came in. */
  readonly audioSeconds: number
  readonly corrupt: number
  readonly gaps: number
}

export interface KyutaiSimulator {
  /** What `STT_STREAM_URL` takes. */
  readonly url: string
  /** Base of the HTTP side. */
  readonly httpUrl: string
  readonly log: () => ReadonlyArray<ToldWord>
  readonly counters: () => KyutaiCounters
  readonly control: (control: Control) => void
  /** Sends this to whoever is connected, whatever it is. */
  readonly babble: (message: string | Uint8Array) => void
}

const decodeControl = Schema.decodeUnknownResult(Schema.fromJsonString(Control))

/** Starts the server on loopback; sessions and server end with the scope. */
export const make = Effect.fn("KyutaiSimulator.make")(function* (
  options: KyutaiSimulatorOptions = {}
): Effect.fn.Return<KyutaiSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const told: Array<ToldWord> = []
  const counters = { opened: 0, active: 0, refused: 0, audioSeconds: 0, corrupt: 0, gaps: 0 }
  const stalled = new WeakSet<WebSocket>()
  let behaviour: Behaviour = "serve"
  /** Times real time; absent: as fast as it comes. */
  let speed: number | undefined
  let warm: Fiber.Fiber<void> | undefined

  const container = () => {
    warm ??= fork(Effect.sleep(options.coldStartMs ?? 0))
    return Fiber.await(warm)
  }

  const serve = (socket: WebSocket) => {
    const session = ++counters.opened
    let heardAtMs = epochMs()
    const recogniser = SimulatedRecogniser.make({
      delayMs: options.delayMs ?? 500,
      format: options.format ?? ToneModem.normal,
      punctuation: options.punctuation ?? false,
      onFault: (fault) => {
        counters[fault === "gap" ? "gaps" : "corrupt"]++
      },
      onWord: (word) => {
        if (behaviour === "silent" || stalled.has(socket) || socket.readyState !== socket.OPEN) return
        if (behaviour === "garbage") return babbleTo(socket)
        socket.send(JSON.stringify({ type: "token", text: word.text }))
        told.push({ ...word, session, tokenSentAtMs: epochMs() })
      }
    })
    /** What it was sent and has not computed, and until when it computes that. */
    const waiting: Array<() => void> = []
    let busyUntilMs = 0
    socket.on("message", (data, isBinary) => {
      heardAtMs = epochMs()
      const pcm = isBinary && Buffer.isBuffer(data) ? samplesOf(data) : undefined
      if (pcm === undefined) return socket.close(1000)
      counters.audioSeconds += pcm.length / 24_000
      if (speed === undefined && waiting.length === 0) return recogniser.push(pcm, heardAtMs)
      busyUntilMs = Math.max(heardAtMs, busyUntilMs) + (speed === undefined ? 0 : pcm.length / 24 / speed)
      const arrivedAtMs = heardAtMs
      waiting.push(() => recogniser.push(pcm, arrivedAtMs))
      fork(
        Effect.andThen(
          Effect.sleep(busyUntilMs - heardAtMs),
          Effect.sync(() => waiting.shift()?.())
        )
      )
    })
    const limits = fork(closeWhenDue(socket, options, () => heardAtMs))
    counters.active++
    socket.on("error", () => {})
    socket.on("close", () => {
      counters.active--
      limits.interruptUnsafe()
    })
  }

  const greet = (socket: WebSocket) => {
    if (behaviour === "close") return socket.close(1000)
    if (behaviour !== "error") {
      serve(socket)
      if (behaviour === "halfOpen") socket.pause()
      return
    }
    socket.send(JSON.stringify({ type: "error", message: "no free channels" }))
    socket.close(1000)
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (behaviour === "neverOpen") return
    const refusal = request.url === "/v1/stream" ? refusals[behaviour] : "404 Not Found"
    if (refusal === undefined) {
      const open = Effect.sync(() => sockets.handleUpgrade(request, socket, head, greet))
      fork(Effect.andThen(container(), open))
      return
    }
    counters.refused++
    LocalServer.refuseUpgrade(socket, refusal)
  }

  const control = (change: Control) => {
    const { clients } = sockets
    switch (change._tag) {
      case "Behave":
        behaviour = change.as
        speed = undefined
        return
      case "Slow":
        speed = change.speed
        return
      case "Cool":
        warm = undefined
        return
      case "Stall":
        for (const socket of clients) stalled.add(socket)
        return
      case "HalfOpen":
        for (const socket of clients) socket.pause()
        return
      case "Kill":
        for (const socket of clients) change.how === "crash" ? socket.terminate() : socket.close(1000)
    }
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === "/log") return LocalServer.respond(response, 200, told)
    if (request.url === "/counters") return LocalServer.respond(response, 200, counters)
    if (request.url === "/health") {
      if (behaviour === "neverOpen") return
      const refusal = refusals[behaviour]
      if (refusal !== undefined) return LocalServer.respond(response, Number.parseInt(refusal, 10), {})
      fork(
        Effect.andThen(
          container(),
          Effect.sync(() => LocalServer.respond(response, 200, { status: "healthy" }))
        )
      )
      return
    }
    if (request.method !== "POST" || request.url !== "/control") return LocalServer.respond(response, 404, {})
    LocalServer.readBody(request, (text) => {
      const change = decodeControl(text)
      if (Result.isSuccess(change)) control(change.success)
      LocalServer.respond(response, Result.isSuccess(change) ? 200 : 400, {})
    })
  }

  const port = yield* LocalServer.listen(options.port ?? 0, { onRequest, onUpgrade })
  return {
    url: `ws://127.0.0.1:${port}/v1/stream`,
    httpUrl: `http://127.0.0.1:${port}`,
    log: () => told,
    counters: () => ({ ...counters }),
    control,
    babble: (message) => {
      for (const socket of sockets.clients) socket.send(message)
    }
  }
})

/** What servers, proxies and bugs have sent in place of words. */
const nonsense: ReadonlyArray<string | Uint8Array> = [
  '{"type":"tok',
  '{"type":"token","text":{"a":1}}',
  "Bad Gateway",
  Uint8Array.from({ length: 64 }, (_, index) => (index * 89) & 255)
]

const babbleTo = (socket: WebSocket) => {
  for (const message of nonsense) socket.send(message)
}

const refusals: Partial<Record<Behaviour, string>> = {
  refuse: "401 Unauthorized",
  unavailable: "503 Service Unavailable"
}

/** 30 s without a binary message, and half an hour at most: both end with 1000, as the real one. */
const closeWhenDue = Effect.fnUntraced(function* (
  socket: WebSocket,
  { idleCloseMs = 30_000, maxSessionMs = 1_800_000 }: KyutaiSimulatorOptions,
  heardAtMs: () => number
) {
  const startedAtMs = epochMs()
  for (;;) {
    const dueAtMs = Math.min(heardAtMs() + idleCloseMs, startedAtMs + maxSessionMs)
    const leftMs = dueAtMs - epochMs()
    if (leftMs <= 0) return socket.close(1000)
    yield* Effect.sleep(leftMs)
  }
})

/** `undefined` when the message is not whole samples. */
const samplesOf = (message: Buffer): Float32Array | undefined =>
  message.length % 4 === 0
    ? new Float32Array(message.buffer.slice(message.byteOffset, message.byteOffset + message.length))
    : undefined

const epochMs = () => performance.timeOrigin + performance.now()
