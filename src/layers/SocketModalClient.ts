/**
 * ModalClient over an `EngineSocket`.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Clock, type Duration, Effect, Layer, Option, Redacted, Stream } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { ModalClient, ModalError, type ModalMessage, type ModalSocket } from "../services/ModalClient.ts"
import * as EngineSocket from "./EngineSocket.ts"
import { isLocal } from "./Loopback.ts"
import * as Metrics from "./Metrics.ts"
import * as ModalProtocol from "./ModalProtocol.ts"
import * as RetryAfter from "./RetryAfter.ts"

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

/** Detail of a `ServerError` that says the server is full. */
export const NO_FREE_CHANNELS = "no free channels"

/** Opens sockets to Kyutai on Modal or to a server that speaks the same; see `ModalClient`. */
export const layer = (options: Options): Layer.Layer<ModalClient> =>
  Layer.effect(
    ModalClient,
    Effect.gen(function* () {
      const http = yield* HttpClient.HttpClient
      const openTimeout = options.openTimeout ?? "180 seconds"
      const onUnknown = yield* Metrics.countsOf(Metrics.unknownMessages, { source: "modal" })
      const open = Effect.gen(function* () {
        const target = yield* targetOf(options.url)
        const socket = yield* EngineSocket.open({
          ...target,
          openTimeout,
          maxPayload: 1024 * 1024,
          maxWaitingBytes: MAX_WAITING_BYTES,
          skipCertVerify: options.skipCertVerify ?? false
        }).pipe(Effect.mapError(toModalError))
        return converse(socket, onUnknown)
      })
      const probe = Effect.gen(function* () {
        const { headers, url } = yield* targetOf(options.url)
        const health = new URL("/health", url.replace(/^ws/, "http"))
        const response = yield* http
          .execute(HttpClientRequest.get(health).pipe(HttpClientRequest.setHeaders(headers)))
          .pipe(
            Effect.mapError(noAnswer),
            Effect.timeoutOrElse({
              duration: openTimeout,
              orElse: () =>
                Effect.fail(new ModalError({ reason: "OpenTimeout", detail: "the server did not answer in time" }))
            }),
            // a span would carry our headers to whoever collects it
            Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
          )
        const { status } = response
        if (status === 401 || status === 403 || status === 407)
          return yield* new ModalError({
            reason: "Unauthorized",
            detail: "the server does not accept our credentials",
            code: status
          })
        // a server without that page is up too
        if (status >= 500 || status === 429 || status === 402)
          return yield* new ModalError({
            reason: "Rejected",
            detail: "the server is not well",
            code: status,
            ...RetryAfter.part(RetryAfter.msOf(response.headers["retry-after"], yield* Clock.currentTimeMillis))
          })
      }).pipe(Effect.scoped)
      return { open, probe, isLocal: options.url?._tag === "Direct" && isLocal(options.url.url) }
    })
  ).pipe(
    Layer.provide(
      NodeHttpClient.layerUndiciOptions({ connect: { rejectUnauthorized: options.skipCertVerify !== true } })
    )
  )

const noAnswer = (error: HttpClientError.HttpClientError): ModalError =>
  new ModalError({ reason: "Unreachable", detail: error.reason._tag })

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

/** What a fault means to us. Its text is not passed on: it could quote what was said. */
const faultOf = (message: string): string =>
  /no free channels|capacity|too many/i.test(message) ? NO_FREE_CHANNELS : "the server reported an error"

const toModalError = ({ reason, detail, code, retryAfterMs }: EngineSocket.EngineSocketError): ModalError =>
  new ModalError({ reason, detail, ...(code === undefined ? {} : { code }), ...RetryAfter.part(retryAfterMs) })

const converse = (socket: EngineSocket.EngineSocket, onUnknown: () => void): ModalSocket => {
  const read = ({ data, atMs }: EngineSocket.Incoming): ModalMessage | ModalError | undefined => {
    const isText = typeof data === "string" && data.length <= ModalProtocol.MAX_MESSAGE_CHARS
    const message = isText ? ModalProtocol.parse(data) : undefined
    switch (message?.type) {
      case "token":
        return { _tag: "Token", text: message.text.slice(0, ModalProtocol.MAX_TOKEN_CHARS), atMs }
      case "vad_end":
        return { _tag: "VadEnd" }
      case "ping":
        return { _tag: "Ping" }
      case "error":
        return new ModalError({ reason: "ServerError", detail: faultOf(message.message) })
      default:
        onUnknown()
        return undefined
    }
  }
  const stuck = Effect.mapError(socket.stuck, ({ detail }) => new ModalError({ reason: "Silent", detail }))
  const messageIn = (incoming: EngineSocket.Incoming): Effect.Effect<Option.Option<ModalMessage>, ModalError> => {
    const message = read(incoming)
    if (message instanceof ModalError) return Effect.fail(message)
    return Effect.succeed(Option.fromUndefinedOr(message))
  }
  return {
    // every platform Node runs on is little endian
    send: (pcm) => socket.send(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)),
    keepAlive: () => {
      socket.send(Buffer.alloc(0))
    },
    messages: socket.messages.pipe(
      Stream.mapError(toModalError),
      Stream.interruptWhen(stuck),
      Stream.mapEffect(messageIn),
      Stream.filter(Option.isSome),
      Stream.map((message) => message.value)
    ),
    hear: (take) =>
      socket
        .read((incoming) => {
          const message = read(incoming)
          if (message === undefined) return undefined
          return message instanceof ModalError ? Effect.fail(message) : take(message)
        })
        .pipe(
          Effect.mapError((error) => (error instanceof ModalError ? error : toModalError(error))),
          Effect.raceFirst(stuck)
        )
  }
}
