/**
 * One HTTP listener: takes its address, and gives it back in time when the process is to end.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { Duplex } from "node:stream"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, FileSystem, Layer } from "effect"
import { HttpServer } from "effect/http"
import { codeOf } from "../layers/ErrorCode.ts"
import { ListenError } from "../layers/ListenError.ts"
import { Front } from "../services/Front.ts"
import { Stopping } from "../services/Stopping.ts"
import type { Address } from "../supervisor/Messages.ts"
import * as Certificate from "./Certificate.ts"
import * as HandedServer from "./HandedServer.ts"

/** Takes over connections that ask for another protocol, as websockets do. */
export interface Upgrades {
  /** `false`: not one of ours; the app answers. */
  readonly take: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean
  /** Nothing more is taken; completes in bounded time, when all that was taken is gone. */
  readonly close: Effect.Effect<void>
}

/** Requests are answered in milliseconds; what is still open after this is not waiting for us. */
const CLOSE_GRACE = "1 second"
/** Node's own limit is five minutes: long enough to collect half-sent requests. */
const REQUEST_TIMEOUT_MS = 15_000

const limits = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }

/**
 * Serves an app of `HttpRouter.serve`. A socket file that a killed process left behind is removed. When the scope closes, nothing new is
 * accepted from the first moment on, answers under way are finished, and the rest is cut off after a second; meanwhile `upgrades` close.
 * Where there is a `Front` it listens, and this serves what it is handed. HTTP/1.1 only: websockets need it.
 */
export const listen = <A, E, R>(
  app: Layer.Layer<A, E, R>,
  options: {
    readonly name: string
    readonly address: Address
    readonly upgrades?: Upgrades | undefined
    /** With it, TLS is spoken. */
    readonly certificate?: Certificate.CertificateFiles | undefined
  }
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { address, certificate, name, upgrades } = options
      const { until } = yield* Stopping
      const front = yield* Front
      const server = certificate === undefined ? createServer(limits) : yield* secureServer(certificate)
      const release = hold(server)
      const handed = front === undefined ? undefined : yield* hand(front, { name, address, server })
      if (handed === undefined && "path" in address) yield* removeStaleSocket(address.path)
      const listening = NodeHttpServer.layer(() => server, { ...address, disablePreemptiveShutdown: true }).pipe(
        Layer.catchTag("ServeError", ({ cause }) =>
          Layer.effectContext(
            Effect.fail(new ListenError({ address: textOf(address), code: codeOf(cause) ?? "unknown reason" }))
          )
        )
      )
      const announced = Layer.effectDiscard(
        HttpServer.addressFormattedWith((url) =>
          handed?.isFirst === false
            ? Effect.void
            : Effect.logInfo("listening", {
                for: name,
                url: certificate === undefined ? url : url.replace("http:", "https:")
              })
        )
      )
      // Built last, hence closed first: before whoever answers requests goes away.
      const closing = Layer.effectDiscard(
        Effect.gen(function* () {
          yield* Effect.sync(() => {
            const again = release()
            if (upgrades !== undefined) divert(server, upgrades)
            again()
          })
          yield* Effect.addFinalizer(() =>
            Effect.all(
              [close(server, handed?.close ?? closed(server), until("Closed")), upgrades?.close ?? Effect.void],
              {
                concurrency: "unbounded",
                discard: true
              }
            )
          )
        })
      )
      return announced.pipe(Layer.provideMerge(closing), Layer.provideMerge(app), Layer.provide(listening))
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** A handshake takes as long as a request may. */
const secureServer = Effect.fnUntraced(function* (files: Certificate.CertificateFiles) {
  const certificate = yield* Certificate.read(files)
  const server = createSecureServer({ ...limits, ...certificate, handshakeTimeout: REQUEST_TIMEOUT_MS })
  yield* Certificate.renew(server, files)
  return server
})

/** Node forgets requests that nobody listens for: those that come before the app is there wait for it. */
const hold = (server: Server) => {
  const held: Array<() => void> = []
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (server.listenerCount("request") === 1) held.push(() => void server.emit("request", request, response))
  }
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (server.listenerCount("upgrade") > 1) return
    // Nobody else looks at this connection yet, and an error that nobody looks at ends the process.
    socket.on("error", () => {})
    held.push(() => void server.emit("upgrade", request, socket, head))
  }
  server.on("request", onRequest).on("upgrade", onUpgrade)
  return () => {
    server.off("request", onRequest).off("upgrade", onUpgrade)
    return () => {
      for (const again of held) again()
    }
  }
}

/** The app's own listener refuses upgrades it knows nothing of, so it only gets what is left. */
const divert = (server: Server, upgrades: Upgrades) => {
  const others = server.listeners("upgrade")
  server.removeAllListeners("upgrade")
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (upgrades.take(request, socket, head)) return
    for (const other of others) Reflect.apply(other, server, [request, socket, head])
  })
}

/** Takes the connections of its front, from now on. */
const hand = Effect.fnUntraced(function* (
  front: Front,
  { address, name, server }: { readonly name: string; readonly address: Address; readonly server: Server }
) {
  const handed = HandedServer.make(server, () => front.closing(name))
  const answer = yield* front.listen(name, address, handed.take)
  if (answer._tag === "NotListening") {
    return yield* new ListenError({ address: textOf(address), code: answer.code })
  }
  handed.listenAt(answer.at)
  return { close: handed.close, isFirst: answer.isFirst }
})

const closed = (server: Server) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
  })

const close = (server: Server, closed: Effect.Effect<void>, latest: Effect.Effect<void>) =>
  closed.pipe(
    Effect.raceFirst(latest),
    Effect.timeoutOption(CLOSE_GRACE),
    Effect.andThen(Effect.sync(() => server.closeAllConnections()))
  )

/** Only what is a socket: a mistyped path must not cost anybody a file. */
const removeStaleSocket = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  yield* files.stat(path).pipe(
    Effect.flatMap(({ type }) => (type === "Socket" ? files.remove(path) : Effect.void)),
    // There is none, or listening will say what is wrong with it.
    Effect.ignore
  )
})

const textOf = (address: Address): string => ("path" in address ? address.path : `${address.host}:${address.port}`)
