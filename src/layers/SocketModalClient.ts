/**
 * ModalClient over a websocket of our own: what `ws` alone can tell (HTTP status of a refusal, close code, bytes waiting) is needed.
 */
import { Cause, type Duration, Effect, Layer, Metric, Option, Queue, Redacted, type Scope, Stream } from "effect"
import { WebSocket } from "ws"
import { ModalClient, ModalError, type ModalMessage, type ModalSocket } from "../services/ModalClient.ts"
import * as Metrics from "./Metrics.ts"
import * as ModalProtocol from "./ModalProtocol.ts"
import { monotonicMs } from "./Monotonic.ts"

/** Where the server is. Credentials go to Modal only, never to a server of one's own. */
export type ModalAddress =
  | {
      readonly _tag: "Modal"
      readonly workspace: string
      /** Behind `{workspace}--`; absent: the name the app is deployed under by default. */
      readonly hostSuffix?: string
      readonly key: Redacted.Redacted
      readonly secret: Redacted.Redacted
    }
  | { readonly _tag: "Direct"; readonly url: string }

export interface Options {
  /** Absent: every `open` fails with `NotConfigured`. */
  readonly url?: ModalAddress | undefined
  /** Absent: 180 s, the longest cold start of a container. */
  readonly openTimeout?: Duration.Input
  /** Accept any certificate of the server. Absent: no. */
  readonly skipCertVerify?: boolean
}

export const DEFAULT_HOST_SUFFIX = "kyutai-stt-rust-kyutaisttrustservice-serve.modal.run"

/** About 20 s of audio that the network did not take: such a connection will not catch up. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024
/** Minutes of talk: whoever lets so much wait does not read. */
const MESSAGE_CAPACITY = 1024

/** Detail of a `ServerError` that says the server is full. */
export const NO_FREE_CHANNELS = "no free channels"

/** Messages of one socket as they came; text is capped before it waits. */
interface Incoming {
  readonly frame: string
  readonly atMs: number
}

/** Opens sockets to Kyutai on Modal or to a server that speaks the same; see `ModalClient`. */
export const layer = (options: Options): Layer.Layer<ModalClient> =>
  Layer.effect(
    ModalClient,
    Effect.gen(function* () {
      const now = yield* monotonicMs
      const open = Effect.gen(function* () {
        const target = yield* targetOf(options.url)
        const ws = yield* socket(target, options.skipCertVerify ?? false)
        const session = yield* listen(ws, now)
        yield* opened(ws).pipe(
          Effect.timeoutOrElse({
            duration: options.openTimeout ?? "180 seconds",
            orElse: () =>
              Effect.fail(new ModalError({ reason: "OpenTimeout", detail: "the server did not answer in time" }))
          })
        )
        return session
      })
      return { open }
    })
  )

interface Target {
  readonly url: string
  readonly headers: Record<string, string>
}

const notConfigured = (detail: string) => new ModalError({ reason: "NotConfigured", detail })

/** The whole URL and the headers that belong to it. Error texts never quote the URL: it may carry credentials. */
export const targetOf = (address: ModalAddress | undefined): Effect.Effect<Target, ModalError> => {
  if (address === undefined) return Effect.fail(notConfigured("neither a Modal workspace nor a stream URL is set"))
  if (address._tag === "Modal") {
    const suffix = (address.hostSuffix ?? DEFAULT_HOST_SUFFIX).replace(/^-+/, "")
    const host = `${address.workspace}--${suffix}`
    if (!/^[\w-]+--[\w.-]+$/.test(host))
      return Effect.fail(notConfigured("workspace and host suffix do not make a host name"))
    return Effect.succeed({
      url: `wss://${host}/v1/stream`,
      headers: { "Modal-Key": Redacted.value(address.key), "Modal-Secret": Redacted.value(address.secret) }
    })
  }
  const url = URL.parse(address.url.replace(/^http(s?):/i, "ws$1:"))
  if (url === null || !/^wss?:$/.test(url.protocol))
    return Effect.fail(notConfigured("the stream URL is not a websocket URL"))
  if (url.pathname === "/") url.pathname = "/v1/stream"
  url.hash = ""
  return Effect.succeed({ url: url.href, headers: {} })
}

/** A socket that dials; whatever becomes of it, it is gone when the scope closes. */
const socket = (target: Target, skipCertVerify: boolean): Effect.Effect<WebSocket, ModalError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const ws = new WebSocket(target.url, {
          headers: target.headers,
          rejectUnauthorized: !skipCertVerify,
          // PCM does not get smaller, and it costs 50 µs per message (perf.md §5)
          perMessageDeflate: false,
          maxPayload: 1024 * 1024
        })
        // an `error` without a listener ends the process
        ws.on("error", () => {})
        return ws
      },
      catch: () => notConfigured("the websocket could not be made from this configuration")
    }),
    (ws) =>
      Effect.callback<void>((resume) => {
        if (ws.readyState === WebSocket.CLOSED) return resume(Effect.void)
        ws.once("close", () => resume(Effect.void))
        if (ws.readyState === WebSocket.CONNECTING) ws.terminate()
        else ws.close(1000)
      }).pipe(Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.sync(() => ws.terminate()) }))
  )

const refusal = (status: number): ModalError =>
  status === 401 || status === 403 || status === 407
    ? new ModalError({ reason: "Unauthorized", detail: "the server does not accept our credentials", code: status })
    : new ModalError({ reason: "Rejected", detail: "the server does not take us in", code: status })

const opened = (ws: WebSocket): Effect.Effect<void, ModalError> =>
  Effect.callback<void, ModalError>((resume) => {
    const onOpen = () => resume(Effect.void)
    const onError = (error: Error) =>
      resume(Effect.fail(new ModalError({ reason: "Unreachable", detail: errorCode(error) })))
    const onResponse = (_request: unknown, response: { readonly statusCode?: number | undefined }) => {
      resume(Effect.fail(refusal(response.statusCode ?? 0)))
      ws.terminate()
    }
    ws.once("open", onOpen).once("error", onError).once("unexpected-response", onResponse)
    return Effect.sync(() => {
      ws.off("open", onOpen).off("error", onError).off("unexpected-response", onResponse)
    })
  })

/** `ECONNREFUSED` and the like; whole messages may quote the URL. */
const errorCode = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : "no connection"

/** What a fault means to us. Its text is not passed on: it could quote what was said. */
const faultOf = (message: string): string =>
  /no free channels|capacity|too many/i.test(message) ? NO_FREE_CHANNELS : "the server reported an error"

const listen = Effect.fnUntraced(function* (ws: WebSocket, now: () => number) {
  const metrics = yield* Effect.context<never>()
  // bounded: at most MESSAGE_CAPACITY wait; when full the newest is dropped and counted
  const incoming = yield* Queue.dropping<Incoming, ModalError>(MESSAGE_CAPACITY)
  const count = (metric: Metric.Metric<number, unknown>, attributes: Record<string, string>) =>
    Metric.withAttributes(metric, attributes).updateUnsafe(1, metrics)

  ws.on("message", (data, isBinary) => {
    const frame = isBinary ? undefined : data.toString()
    if (frame === undefined || frame.length > ModalProtocol.MAX_MESSAGE_CHARS)
      return count(Metrics.unknownMessages, { source: "modal" })
    if (!Queue.offerUnsafe(incoming, { frame, atMs: now() })) count(Metrics.drops, { reason: "engine_messages_full" })
  })
  ws.on("close", (code) => {
    const error = new ModalError({ reason: "Closed", detail: "the server closed the connection", code })
    Queue.failCauseUnsafe(incoming, Cause.fail(error))
  })

  const read = ({ frame, atMs }: Incoming): Effect.Effect<Option.Option<ModalMessage>, ModalError> => {
    const message = Option.getOrUndefined(ModalProtocol.parse(frame))
    switch (message?.type) {
      case "token":
        return Effect.succeedSome({ _tag: "Token", text: message.text.slice(0, ModalProtocol.MAX_TOKEN_CHARS), atMs })
      case "vad_end":
        return Effect.succeedSome({ _tag: "VadEnd" })
      case "ping":
        return Effect.succeedSome({ _tag: "Ping" })
      case "error":
        return Effect.fail(new ModalError({ reason: "ServerError", detail: faultOf(message.message) }))
      default:
        return Effect.as(
          Metric.update(Metric.withAttributes(Metrics.unknownMessages, { source: "modal" }), 1),
          Option.none()
        )
    }
  }

  const session: ModalSocket = {
    send: (pcm) => {
      if (ws.readyState !== WebSocket.OPEN || ws.bufferedAmount > MAX_WAITING_BYTES) {
        count(Metrics.drops, {
          reason: ws.readyState === WebSocket.OPEN ? "engine_socket_full" : "engine_socket_closed"
        })
        return false
      }
      // `ws` copies while it masks: the samples may be reused at once. Every platform Node runs on is little endian.
      ws.send(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength), { binary: true })
      return true
    },
    keepAlive: () => {
      if (ws.readyState === WebSocket.OPEN) ws.send(Buffer.alloc(0), { binary: true })
    },
    messages: Stream.fromQueue(incoming).pipe(
      Stream.mapEffect(read),
      Stream.filter(Option.isSome),
      Stream.map((message) => message.value)
    )
  }
  return session
})
