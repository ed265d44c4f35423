/**
 * Kyutai's moshi-server, simulated: a real websocket server with its protocol and habits, which understands synthetic speech (`ToneModem`).
 *
 * What is real: MessagePack both ways, authorisation, channels, steps of 80 ms of which each takes one message and one frame of every
 * channel, words half a second of *audio* late, ends of words with the next word, pauses, when markers come back, the two limits for silent
 * clients. What is not: the ears, and that it is stricter: samples must be float32, and nothing unknown may be sent. Whoever breaks a rule
 * is cut off without a word, as by the original, and counted.
 */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { encode } from "@msgpack/msgpack"
import { Effect, FiberSet, Option, Schema, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import * as MessagePack from "./MessagePack.ts"
import * as MoshiChannel from "./MoshiChannel.ts"
import type * as ToneModem from "./ToneModem.ts"

/**
 * How the server treats whoever connects: serve; 401; 503; an upgrade that is never answered; a connection that hears nothing; no free
 * channel. `hang`: nothing is computed any more, also for those who are connected.
 */
export type Behaviour = "serve" | "refuse" | "unavailable" | "neverOpen" | "neverReady" | "full" | "hang"

export interface MoshiSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** `authorized_ids`; `public_token` as in the stock configuration. */
  readonly keys?: ReadonlyArray<string>
  /** `1b`, the default: half a second late, tells steps. `2.6b`: 2.56 s late, tells none, deaf in its first second. */
  readonly model?: "1b" | "2.6b"
  /** `batch_size`; 64. */
  readonly channels?: number
  /** Time that computing a step takes, ms. Absent: none. */
  readonly stepMs?: number
  /** Limits for clients: no frame of any kind (20 s), no binary message (120 s); and after how long it pings (10 s). */
  readonly limitsMs?: { readonly frame?: number; readonly binary?: number; readonly ping?: number }
  readonly format?: ToneModem.ToneFormat
}

export interface MoshiCounters {
  readonly opened: number
  readonly active: number
  readonly refused: number
  /** Messages that broke a rule. */
  readonly faults: number
  readonly markers: number
  readonly audioSeconds: number
  readonly corrupt: number
  readonly gaps: number
}

export interface MoshiSimulator {
  /** What `LT_MOSHI_URL` takes. */
  readonly url: string
  readonly log: () => ReadonlyArray<MoshiChannel.ToldWord>
  readonly counters: () => MoshiCounters
  readonly behave: (as: Behaviour) => void
  /** Ends all sessions: as a crash, or with a close frame without a code. */
  readonly kill: (how: "crash" | "close") => void
  /** Leaves the connections there are and reads and answers nothing on them any more, pings neither. */
  readonly halfOpen: () => void
  /** Sends every connected client this, whatever it is. */
  readonly inject: (message: string | Uint8Array) => void
}

const PATH = "/api/asr-streaming"

const ClientMessage = Schema.Union([
  Schema.Struct({ type: Schema.tag("Init") }),
  Schema.Struct({ type: Schema.tag("Audio"), pcm: Schema.Array(Schema.Finite) }),
  Schema.Struct({ type: Schema.tag("Marker"), id: Schema.Int })
])
const decodeMessage = Schema.decodeUnknownOption(ClientMessage, { onExcessProperty: "error" })
/** `{type: "Audio", pcm}` in 16 bytes, an array's header in 1, 3 or 5, and five bytes a sample if they are float32. */
const isFloat32 = (bytes: number, samples: number): boolean => [17, 19, 21].includes(bytes - 5 * samples)

/** Starts the server on loopback; sessions and server end with the scope. */
export const make = Effect.fn("MoshiSimulator.make")(function* (
  options: MoshiSimulatorOptions = {}
): Effect.fn.Return<MoshiSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const channels = new Map<WebSocket, MoshiChannel.MoshiChannel>()
  const told: Array<MoshiChannel.ToldWord> = []
  const counters = { opened: 0, active: 0, refused: 0, faults: 0, markers: 0, audioSeconds: 0, corrupt: 0, gaps: 0 }
  let behaviour: Behaviour = "serve"
  let globalStep = 0
  let isRunning = false

  /** Steps as long as any channel has something; every step takes one message and one frame of each. */
  const run = Effect.gen(function* () {
    for (;;) {
      const open = [...channels.values()]
      for (const channel of open) channel.take(globalStep)
      const computed = open.map((channel) => channel.step())
      if (computed.includes(true)) globalStep += 1
      else if (!open.some((channel) => channel.isWaiting())) break
      for (const channel of open) channel.answer(globalStep)
      yield* options.stepMs === undefined ? Effect.yieldNow : Effect.sleep(options.stepMs)
    }
    isRunning = false
  })
  const wake = () => {
    if (isRunning || behaviour === "hang") return
    isRunning = true
    fork(run)
  }

  const fault = (socket: WebSocket) => {
    counters.faults++
    socket.terminate()
  }

  const onMessage = (socket: WebSocket, channel: MoshiChannel.MoshiChannel, data: Buffer) => {
    const message = Option.getOrUndefined(parse(data))
    if (message === undefined) return fault(socket)
    if (message.type === "Audio") {
      if (!isFloat32(data.length, message.pcm.length)) return fault(socket)
      counters.audioSeconds += message.pcm.length / 24_000
    }
    if (message.type === "Marker") counters.markers++
    channel.receive(message)
    wake()
  }

  const serve = (socket: WebSocket) => {
    const session = ++counters.opened
    counters.active++
    const channel = MoshiChannel.make({
      model: options.model ?? "1b",
      format: options.format,
      send: (message) => {
        if (behaviour !== "hang" && socket.readyState === socket.OPEN)
          socket.send(encode(message, { forceFloat32: true }))
      },
      onWord: (word) => told.push({ ...word, session }),
      onFault: (what) => {
        counters[what === "gap" ? "gaps" : "corrupt"]++
      }
    })
    const limits = clientLimits(socket, options.limitsMs ?? {})
    channels.set(socket, channel)
    socket.on("message", (data, isBinary) => {
      if (!limits.alive(isBinary)) return
      if (!isBinary || !Buffer.isBuffer(data)) return fault(socket)
      onMessage(socket, channel, data)
    })
    socket.on("ping", () => limits.alive(false)).on("pong", () => limits.alive(false))
    socket.on("close", () => {
      limits.stop()
      channels.delete(socket)
      counters.active--
    })
    socket.send(encode({ type: "Ready" }))
  }

  const greet = (socket: WebSocket) => {
    socket.on("error", () => {})
    if (behaviour === "neverReady") return
    if (behaviour !== "full" && counters.active < (options.channels ?? 64)) return serve(socket)
    counters.refused++
    socket.send(encode({ type: "Error", message: "no free channels" }))
    socket.close()
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (behaviour === "neverOpen") return
    const address = new URL(request.url ?? "", "http://localhost")
    const key = request.headers["kyutai-api-key"] ?? address.searchParams.get("auth_id")
    const isAuthorised = typeof key === "string" && (options.keys ?? ["public_token"]).includes(key)
    const refusal =
      address.pathname !== PATH
        ? "404 Not Found"
        : behaviour === "unavailable"
          ? "503 Service Unavailable"
          : behaviour === "refuse" || !isAuthorised
            ? "401 Unauthorized"
            : undefined
    if (refusal === undefined) return sockets.handleUpgrade(request, socket, head, greet)
    counters.refused++
    LocalServer.refuseUpgrade(socket, refusal)
  }

  const port = yield* LocalServer.listen(options.port ?? 0, {
    onRequest: (request, response) => {
      if (behaviour === "neverOpen") return
      if (behaviour === "unavailable") return LocalServer.respond(response, 503, {})
      if (request.url !== "/api/modules_info") return LocalServer.respond(response, 404, {})
      const slots = behaviour === "full" ? counters.active : (options.channels ?? 64)
      LocalServer.respond(response, 200, [
        { type: "batched_asr", path: PATH, used_slots: String(counters.active), total_slots: String(slots) }
      ])
    },
    onUpgrade
  })
  return {
    url: `ws://127.0.0.1:${port}${PATH}`,
    log: () => told,
    counters: () => ({ ...counters }),
    behave: (as) => {
      behaviour = as
      wake()
    },
    kill: (how) => {
      for (const socket of sockets.clients) how === "crash" ? socket.terminate() : socket.close()
    },
    halfOpen: () => {
      for (const socket of sockets.clients) socket.pause()
    },
    inject: (message) => {
      for (const socket of sockets.clients) socket.send(message)
    }
  }
})

const parse = (data: Uint8Array): Option.Option<MoshiChannel.ClientMessage> =>
  Option.flatMap(MessagePack.readMap(data), decodeMessage)

interface ClientLimits {
  /** A frame came; `false` when it came too late, and the connection is cut. */
  readonly alive: (isBinary: boolean) => boolean
  readonly stop: () => void
}

/** Cuts off who sends nothing at all, at once, and who sends no audio, at the next frame; pings who was sent nothing for a while. */
const clientLimits = (
  socket: WebSocket,
  { frame = 20_000, binary = 120_000, ping = 10_000 }: NonNullable<MoshiSimulatorOptions["limitsMs"]>
): ClientLimits => {
  let binaryAtMs = performance.now()
  let cut = setTimeout(() => socket.terminate(), frame)
  const pings = setInterval(() => socket.ping(), ping)
  return {
    alive: (isBinary) => {
      const nowMs = performance.now()
      clearTimeout(cut)
      if (nowMs - binaryAtMs > binary) {
        socket.terminate()
        return false
      }
      if (isBinary) binaryAtMs = nowMs
      cut = setTimeout(() => socket.terminate(), frame)
      return true
    },
    stop: () => {
      clearTimeout(cut)
      clearInterval(pings)
    }
  }
}
