/**
 * The NeMo streaming module of a tldw server, simulated: a real websocket server with its protocol, old or new, which understands synthetic
 * speech (`ToneModem`).
 *
 * What is real: the upgrade that is accepted before anybody is refused, the close codes, configuration first, chunks with an overlap which
 * are transcribed anew for every partial (so a word may be told twice, and one that is cut is not), finals by `is_final`, commits that
 * transcribe nothing. What is not: the ears, and that it is stricter: samples must be sound, and nothing unknown may be sent.
 */
import type { IncomingMessage } from "node:http"
import { Effect, Option, Schema, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as TldwChunks from "./TldwChunks.ts"

/**
 * How the server treats whoever connects: serve; a refused key (4401) or path (4403); quotas (4003); too many streams, as an error and 1000; no
 * such model, likewise; shutting down (1013); a broken provider (1011); nothing is ever said.
 */
export type Behaviour =
  | "serve"
  | "refuse"
  | "forbid"
  | "noMinutes"
  | "noStreams"
  | "crowded"
  | "noModel"
  | "draining"
  | "broken"
  | "mute"

export interface TldwSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** `2024`: float32, key in the address, no version. */
  readonly era?: "2024" | "today"
  readonly key?: string
  /** Says `ready` after the configuration, as its documentation had it and no server did. */
  readonly greets?: boolean
  readonly chunkSeconds?: number
  readonly overlapSeconds?: number
}

export interface TldwCounters {
  readonly opened: number
  readonly active: number
  readonly refused: number
  /** Messages that broke a rule. */
  readonly faults: number
  readonly commits: number
  readonly audioSeconds: number
}

export interface TldwSimulator {
  /** What `LT_TLDW_URL` takes. */
  readonly url: string
  /** Texts of all chunks, in order, with the words that neighbours share. */
  readonly log: () => ReadonlyArray<string>
  readonly configs: () => ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly counters: () => TldwCounters
  readonly behave: (as: Behaviour) => void
  /** Cuts all connections. */
  readonly crash: () => void
  /** Closes all connections, saying this before. */
  readonly close: (code: number, error?: object) => void
  /** Leaves the connections there are and reads and answers nothing on them any more, pings neither. */
  readonly halfOpen: () => void
  /** Sends every connected client this, whatever it is. */
  readonly inject: (message: string | Uint8Array) => void
}

const PATH = "/api/v1/audio/stream/transcribe"
const STATUS_PATH = "/api/v1/audio/stream/status"
const PING_MS = 10_000

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))
const decodeData = Schema.decodeUnknownOption(Schema.Struct({ type: Schema.tag("audio"), data: Schema.String }), {
  onExcessProperty: "error"
})
const decodeConfig = Schema.decodeUnknownOption(
  Schema.Struct({
    type: Schema.tag("config"),
    sample_rate: Schema.Literal(16_000),
    model: Schema.String,
    variant: Schema.String
  })
)
const decodeStrict = Schema.decodeUnknownOption(
  Schema.Struct({
    protocol_version: Schema.Literal(1),
    mode: Schema.Literals(["dictate", "captions"]),
    audio_format: Schema.Literal("pcm16"),
    channels: Schema.Literal(1)
  })
)

const quota = (kind: string) => ({ code: "quota_exceeded", error_type: "quota_exceeded", quota: kind })
const refusals: Partial<Record<Behaviour, readonly [error: object, code: number]>> = {
  refuse: [{ message: "Invalid API key" }, 4401],
  forbid: [{ message: "Endpoint not allowed for API key" }, 4403],
  noMinutes: [{ message: "Streaming transcription quota exceeded", ...quota("daily_minutes") }, 4003],
  noStreams: [{ message: "Streaming transcription quota exceeded", ...quota("concurrent_streams") }, 1008],
  crowded: [{ message: "Too many concurrent streams" }, 1000],
  noModel: [{ message: "Model is not available", code: "model_unavailable", error_type: "model_unavailable" }, 1000],
  draining: [{ message: "Server is shutting down" }, 1013],
  broken: [{ message: "he said hunter2", code: "provider_error" }, 1011]
}

/** Starts the server on loopback; sessions and server end with the scope. */
export const make = Effect.fn("TldwSimulator.make")(function* (
  options: TldwSimulatorOptions = {}
): Effect.fn.Return<TldwSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const { era = "today", greets = false, key = "api-key" } = options
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const log: Array<string> = []
  const configs: Array<Readonly<Record<string, unknown>>> = []
  const counters = { opened: 0, active: 0, refused: 0, faults: 0, commits: 0, audioSeconds: 0 }
  let behaviour: Behaviour = "serve"

  const isKnown = ({ headers, url }: IncomingMessage): boolean =>
    era === "today"
      ? headers["x-api-key"] === key || headers.authorization === `Bearer ${key}`
      : new URL(url ?? "", "http://localhost").searchParams.get("token") === key

  const reject = (socket: WebSocket, error: object, code: number) => {
    socket.send(JSON.stringify({ type: "error", ...error }))
    socket.close(code)
  }
  const fault = (socket: WebSocket, message: string) => {
    counters.faults++
    reject(socket, { message, code: "bad_request", error_type: "bad_request" }, 4400)
  }

  const serve = (socket: WebSocket) => {
    counters.opened++
    counters.active++
    const say = (message: object) => {
      if (behaviour !== "mute" && socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
    }
    let chunks: TldwChunks.TldwChunks | undefined
    const pings = setInterval(() => era === "today" && say({ type: "ping" }), PING_MS)
    socket.on("close", () => {
      clearInterval(pings)
      counters.active--
    })

    const configure = (message: Readonly<Record<string, unknown>>) => {
      const config = Option.getOrUndefined(decodeConfig(message))
      if (config === undefined) return fault(socket, "Expected a config message")
      if (era === "today" && Option.isNone(decodeStrict(message))) return fault(socket, "Unsupported protocol")
      configs.push(message)
      const model = config.model === "canary" ? "canary-1b" : `${config.model}-${config.variant}`
      chunks = TldwChunks.make({
        chunkSeconds: options.chunkSeconds ?? 2,
        overlapSeconds: options.overlapSeconds ?? 0.5,
        finalType: config.model === "canary" ? "final" : "transcription",
        model,
        say,
        onFinal: (text) => log.push(text)
      })
      if (greets) say({ type: "status", state: "ready", model: config.model })
    }

    const hear = (message: Readonly<Record<string, unknown>>) => {
      const data = Option.getOrUndefined(decodeData(message))?.data
      const pcm = data === undefined ? undefined : samplesIn(data, era)
      if (chunks === undefined || pcm === undefined) return fault(socket, "Invalid audio frame")
      counters.audioSeconds += pcm.length / 16_000
      chunks.hear(pcm)
    }

    socket.on("message", (data, isBinary) => {
      const message = isBinary ? undefined : Option.getOrUndefined(decodeJson(data.toString()))
      if (message === undefined) return fault(socket, "Invalid JSON")
      if (chunks === undefined) return configure(message)
      const { type } = message
      switch (type) {
        case "audio":
          return hear(message)
        case "commit":
          counters.commits++
          return say({ type: "full_transcript", text: chunks.transcript(), timestamp: Date.now() / 1000 })
        default:
          return fault(socket, "Unknown message type")
      }
    })
  }

  const greet = (socket: WebSocket, request: IncomingMessage) => {
    socket.on("error", () => {})
    const refusal = isKnown(request) ? refusals[behaviour] : refusals.refuse
    if (refusal === undefined) return serve(socket)
    counters.refused++
    reject(socket, ...refusal)
  }

  const port = yield* LocalServer.listen(options.port ?? 0, {
    onRequest: (request, response) => {
      if (era !== "today" || request.url !== STATUS_PATH) return LocalServer.respond(response, 404, {})
      if (!isKnown(request)) return LocalServer.respond(response, 401, {})
      LocalServer.respond(response, 200, { status: behaviour === "broken" ? "unavailable" : "available" })
    },
    onUpgrade: (request, socket, head) => {
      const { pathname } = new URL(request.url ?? "", "http://localhost")
      if (pathname !== PATH) return LocalServer.refuseUpgrade(socket, "404 Not Found")
      sockets.handleUpgrade(request, socket, head, (accepted) => greet(accepted, request))
    }
  })
  return {
    url: `ws://127.0.0.1:${port}${PATH}`,
    log: () => log,
    configs: () => configs,
    counters: () => ({ ...counters }),
    behave: (as) => {
      behaviour = as
    },
    crash: () => {
      for (const socket of sockets.clients) socket.terminate()
    },
    close: (code, error) => {
      for (const socket of sockets.clients) {
        if (error !== undefined) socket.send(JSON.stringify({ type: "error", ...error }))
        socket.close(code)
      }
    },
    halfOpen: () => {
      for (const socket of sockets.clients) socket.pause()
    },
    inject: (message) => {
      for (const socket of sockets.clients) socket.send(message)
    }
  }
})

/** `undefined` when they are no samples: not base64, cut, or nothing that was ever heard. */
const samplesIn = (base64: string, era: "2024" | "today"): Float32Array | undefined => {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) return undefined
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"))
  if (bytes.length === 0 || bytes.length % (era === "today" ? 2 : 4) !== 0) return undefined
  if (era === "today") return Pcm16.decode(bytes)
  const pcm = new Float32Array(bytes.buffer)
  return pcm.every((sample) => Math.abs(sample) <= 2) ? pcm : undefined
}
