/**
 * EngineSocket: a websocket to a speech engine. `ws` and not Effect's socket: what it alone can tell (HTTP status of a refusal, close code,
 * bytes waiting) is needed.
 */
import type { IncomingMessage } from "node:http"
import { Clock, Deferred, Duration, Effect, Schema, type Scope, Stream } from "effect"
import { WebSocket } from "ws"
import { EngineError } from "../services/SpeechEngine.ts"
import { codeOf } from "./ErrorCode.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Relay from "./Relay.ts"
import * as RetryAfter from "./RetryAfter.ts"
import * as SocketPulse from "./SocketPulse.ts"

/**
 * Every way such a socket can fail or end. `NotConfigured`: no websocket can be made from the address or headers. `Unauthorized`: HTTP 401,
 * 403 or 407 on the upgrade. `Rejected`: another HTTP status. `Closed`: the server closed; `code` is its close code, or the HTTP status.
 */
export class EngineSocketError extends Schema.TaggedError<EngineSocketError>()("EngineSocketError", {
  reason: Schema.Literals(["NotConfigured", "Unauthorized", "Rejected", "OpenTimeout", "Unreachable", "Closed"]),
  detail: Schema.String,
  code: Schema.optionalKey(Schema.Int),
  /** The server asked to be left alone for so long. */
  retryAfterMs: Schema.optionalKey(Schema.Finite)
}) {
  override get message() {
    return this.code === undefined ? `${this.reason}: ${this.detail}` : `${this.reason} (${this.code}): ${this.detail}`
  }
}

export interface Options {
  /** `ws:` or `wss:`; `http:` and `https:` are taken for them. */
  readonly url: string
  /** Credentials belong here: nothing of a header is ever quoted. */
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: ReadonlyArray<string>
  readonly openTimeout: Duration.Input
  /** Bytes of the longest message that is read; a longer one ends the socket with 1009. */
  readonly maxPayload: number
  /** Bytes that may wait for the network before what is sent is dropped: some seconds of audio. */
  readonly maxWaitingBytes: number
  /** Accept any certificate of the server. Absent: no. */
  readonly skipCertVerify?: boolean
  /** Pings the server so often, for whoever cuts silent connections; one that gives no sign of life from one to the next is `stuck`. Absent: no. */
  readonly pingEvery?: Duration.Input
  /** A server that is sent something and answers a ping no sooner is gone. Absent: 1 s. */
  readonly pongWithin?: Duration.Input
}

/** A message as it came: text, or binary. `atMs` is of the monotonic clock. */
export interface Incoming {
  readonly data: string | Uint8Array
  readonly atMs: number
}

export interface EngineSocket {
  /**
   * One message, text or binary; never waits. The bytes may be reused at once. `false`: the socket is closed or too much is waiting in it;
   * the message was dropped and counted.
   */
  readonly send: (message: string | Uint8Array) => boolean
  /** The next message, for what comes before the conversation proper. */
  readonly take: Effect.Effect<Incoming, EngineSocketError>
  /** In order, for one reader; fails with the reason the socket ended, behind all that came before. A slow reader holds the server up. */
  readonly messages: Stream.Stream<Incoming, EngineSocketError>
  /** The same without a stream: gives each message to `take` in the moment it comes, while `take` keeps up. */
  readonly read: <E>(take: Relay.Take<Incoming, E>) => Effect.Effect<never, EngineSocketError | E>
  /** For how long the server has said nothing, ms; 0 while messages wait for the reader. */
  readonly quietMs: () => number
  /** Bytes that the network has not taken yet. */
  readonly waitingBytes: () => number
  /**
   * Never completes; fails when a server that answers pings gave no sign of life while it was sent something (see `SocketPulse`) or gave none from one `pingEvery` to the next, and a second after the socket took no more.
   */
  readonly stuck: Effect.Effect<never, EngineError>
}

const NO_SIGN_OF_LIFE = "it gives no sign of life"
/** So much may wait for the reader before the socket is not read any more; what one read brings (64 KiB) and one message come on top. */
const PAUSE_AT = { messages: 512, bytes: 1024 * 1024 }

/**
 * Dials, once. No policy: no retry, no keep-alive but `pingEvery` (pings of the server are answered), no compression: audio does not get
 * smaller, and it costs 50 µs a message. The socket closes with its scope, with 1000 or, after a second, by force. Errors never quote the URL: it
 * may carry credentials.
 */
export const open = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<EngineSocket, EngineSocketError, Scope.Scope> {
  const now = yield* monotonicMs
  const ws = yield* dial(options)
  const session = yield* converse(ws, options, now)
  yield* opened(ws).pipe(
    Effect.timeoutOrElse({
      duration: options.openTimeout,
      orElse: () =>
        Effect.fail(new EngineSocketError({ reason: "OpenTimeout", detail: "the server did not answer in time" }))
    })
  )
  return session
})

type EngineEnd = Pick<EngineSocketError, "reason" | "detail" | "code" | "retryAfterMs">

/** What the end of a socket means for a session, where the engine's protocol gives its close codes no other meaning. */
export const toEngineError = (error: EngineEnd): EngineError => {
  const detail = error.code === undefined ? error.detail : `${error.detail} (${error.code})`
  return new EngineError({ reason: engineReason(error), detail, ...RetryAfter.part(error.retryAfterMs) })
}

const engineReason = ({ reason, code }: EngineEnd): EngineError["reason"] => {
  switch (reason) {
    case "NotConfigured":
    case "Unauthorized":
      return "Refused"
    case "Rejected":
      // 402: somebody has to pay first
      if (code === 402) return "Refused"
      return code === 429 || code === 503 ? "Busy" : "Unreachable"
    case "OpenTimeout":
    case "Unreachable":
      return "Unreachable"
    case "Closed":
      return "Closed"
  }
}

/** A socket that dials; whatever becomes of it, it is gone when the scope closes. */
const dial = (options: Options): Effect.Effect<WebSocket, EngineSocketError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const ws = new WebSocket(options.url, [...(options.protocols ?? [])], {
          headers: { ...options.headers },
          rejectUnauthorized: options.skipCertVerify !== true,
          perMessageDeflate: false,
          maxPayload: options.maxPayload
        })
        // an `error` without a listener ends the process
        ws.on("error", () => {})
        return ws
      },
      catch: () =>
        new EngineSocketError({
          reason: "NotConfigured",
          detail: "the websocket could not be made from this configuration"
        })
    }),
    (ws) =>
      Effect.callback<void>((resume) => {
        if (ws.readyState === WebSocket.CLOSED) return resume(Effect.void)
        ws.once("close", () => resume(Effect.void))
        if (ws.readyState === WebSocket.CONNECTING) return ws.terminate()
        ws.close(1000)
        // the answer to a close comes behind all that was not read
        ws.removeAllListeners("message")
        if (ws.isPaused) ws.resume()
      }).pipe(Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.sync(() => ws.terminate()) }))
  )

const refusal = (status: number, retryAfterMs: number | undefined): EngineSocketError =>
  status === 401 || status === 403 || status === 407
    ? new EngineSocketError({
        reason: "Unauthorized",
        detail: "the server does not accept our credentials",
        code: status
      })
    : new EngineSocketError({
        reason: "Rejected",
        detail: "the server does not take us in",
        code: status,
        ...RetryAfter.part(retryAfterMs)
      })

const opened = (ws: WebSocket): Effect.Effect<void, EngineSocketError> =>
  Effect.callback<void, EngineSocketError>((resume) => {
    const onOpen = () => resume(Effect.void)
    const onError = (error: Error) =>
      resume(Effect.fail(new EngineSocketError({ reason: "Unreachable", detail: codeOf(error) ?? "no connection" })))
    const onResponse = (_request: unknown, { headers, statusCode = 0 }: IncomingMessage) => {
      const refused = (nowMs: number) =>
        Effect.fail(refusal(statusCode, RetryAfter.msOf(headers["retry-after"], nowMs)))
      resume(Effect.flatMap(Clock.currentTimeMillis, refused))
      ws.terminate()
    }
    ws.once("open", onOpen).once("error", onError).once("unexpected-response", onResponse)
    return Effect.sync(() => {
      ws.off("open", onOpen).off("error", onError).off("unexpected-response", onResponse)
    })
  })

/** Everything about a socket but that it opens. */
const converse = Effect.fnUntraced(function* (
  ws: WebSocket,
  { maxWaitingBytes, pingEvery, pongWithin = "1 second" }: Options,
  now: () => number
) {
  const drop = yield* Metrics.countsOf(Metrics.drops, { reason: "engine_socket_full" })
  const dropClosed = yield* Metrics.countsOf(Metrics.drops, { reason: "engine_socket_closed" })
  const died = yield* Deferred.make<string>()
  const pulse = SocketPulse.make(ws, now, Duration.toMillis(pongWithin))
  let bytes = 0
  let heardMs = now()
  const isOver = (part: number) => waiting.size() >= part * PAUSE_AT.messages || bytes >= part * PAUSE_AT.bytes
  // bounded by PAUSE_AT: the socket is not read while so many wait, nothing is dropped
  const waiting = Relay.line<Incoming>((message) => {
    bytes -= message.data.length
    if (ws.isPaused && !isOver(1 / 2)) ws.resume()
  })
  const incoming = Relay.make<Incoming, EngineSocketError>({
    keep: (message) => {
      waiting.keep(message)
      bytes += message.data.length
      if (isOver(1)) ws.pause()
    },
    next: waiting.next
  })

  ws.on("message", (data, isBinary) => {
    if (!Buffer.isBuffer(data)) return
    const message: Incoming = { data: isBinary ? data : data.toString(), atMs: now() }
    heardMs = message.atMs
    incoming.put(message)
  })
  ws.on("close", (code) => {
    incoming.end(
      Effect.fail(new EngineSocketError({ reason: "Closed", detail: "the server closed the connection", code }))
    )
  })

  const silent = Deferred.succeed(died, NO_SIGN_OF_LIFE)
  yield* Effect.forkScoped(Effect.andThen(pulse.lost, silent))
  if (pingEvery !== undefined) yield* Effect.forkScoped(Effect.andThen(untilSilent(ws, pingEvery), silent))

  const session: EngineSocket = {
    send: (message) => {
      if (ws.readyState === WebSocket.OPEN && ws.bufferedAmount <= maxWaitingBytes) {
        // What a client sends is masked, with a key that nobody can foretell (RFC 6455 §5.3), and `ws` copies while it masks. A mask of zeros spares
        // the copy, but then the bytes must stay until the network has them, and it gains 1 of 20 µs a frame (bench/sending.ts, 22 Nov 2026): no.
        ws.send(message)
        pulse.sent(message.length)
        return true
      }
      const count = ws.readyState === WebSocket.OPEN ? drop : dropClosed
      count()
      Deferred.doneUnsafe(died, Effect.succeed("it takes no more audio"))
      return false
    },
    take: incoming.next,
    messages: Stream.fromEffectRepeat(incoming.next),
    read: incoming.read,
    quietMs: () => (waiting.size() > 0 ? 0 : now() - heardMs),
    waitingBytes: () => ws.bufferedAmount,
    stuck: Deferred.await(died).pipe(
      // a socket that closed properly says so meanwhile
      Effect.tap((detail) => (detail === NO_SIGN_OF_LIFE ? Effect.void : Effect.sleep("1 second"))),
      Effect.flatMap((detail) => Effect.fail(new EngineError({ reason: "Silent", detail })))
    )
  }
  return session
})

/** Pings; completes when an open socket gave no sign of life from one ping to the next. One that nobody reads from is not judged. */
const untilSilent = Effect.fnUntraced(function* (ws: WebSocket, pingEvery: Duration.Input) {
  let isAlive = true
  const alive = () => {
    isAlive = true
  }
  ws.on("open", alive).on("message", alive).on("pong", alive)
  while (isAlive || ws.isPaused || ws.readyState !== WebSocket.OPEN) {
    isAlive = false
    if (ws.readyState === WebSocket.OPEN) ws.ping()
    yield* Effect.sleep(pingEvery)
  }
})
