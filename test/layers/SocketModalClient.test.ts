import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Metric, Redacted, Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import { ModalClient, type ModalError, type ModalMessage } from "../../src/services/ModalClient.ts"
import { live } from "../support/Live.ts"

const portOf = (server: Server): number => {
  const address = server.address()
  return address !== null && typeof address === "object" ? address.port : 0
}

const listening = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    const server = createServer()
    // `closeAllConnections` does not know upgraded ones
    server.on("connection", (socket) => server.once("stop", () => socket.destroy()))
    server.setMaxListeners(100)
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) =>
    Effect.callback<void>((resume) => {
      server.emit("stop")
      server.close(() => resume(Effect.void))
    })
)

interface Client {
  readonly ws: WebSocket
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** A server that speaks by `talk` to whoever comes. */
const kyutai = Effect.fnUntraced(function* (talk: (client: Client) => void, autoPong = true) {
  const http = yield* listening
  const server = new WebSocketServer({ server: http, autoPong })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const client of server.clients) client.terminate()
    })
  )
  server.on("connection", (ws, request) => talk({ ws, path: request.url ?? "", headers: request.headers }))
  return `ws://127.0.0.1:${portOf(http)}`
})

/** A server that answers every upgrade with these bytes. */
const refusing = Effect.fnUntraced(function* (answer: string) {
  const http = yield* listening
  http.on("upgrade", (_request, socket) => socket.end(answer))
  return `ws://127.0.0.1:${portOf(http)}`
})

const open = (url: string, openTimeout?: "200 millis") =>
  ModalClient.use((client) => client.open).pipe(
    Effect.provide(
      SocketModalClient.layer({ url: { _tag: "Direct", url }, ...(openTimeout === undefined ? {} : { openTimeout }) })
    )
  )

/** Everything said until the end, and the end. */
const hearOut = (
  stream: Stream.Stream<ModalMessage, ModalError>
): Effect.Effect<{ said: Array<ModalMessage>; error: ModalError }> =>
  Effect.gen(function* () {
    const said: Array<ModalMessage> = []
    const error = yield* Effect.flip(Stream.runForEach(stream, (message) => Effect.sync(() => said.push(message))))
    return { said, error }
  }).pipe(Effect.catch(() => Effect.die("a socket ended without a reason")))

describe("SocketModalClient", () => {
  live(
    "hands on tokens, vad_end and pings in order and ends with the close code",
    Effect.gen(function* () {
      const url = yield* kyutai(({ ws }) => {
        for (const message of [
          { type: "token", text: "Hello," },
          { type: "vad_end" },
          { type: "ping" },
          { type: "token", text: " world", extra: 1 }
        ])
          ws.send(JSON.stringify(message))
        ws.close(4001, "quota")
      })
      const socket = yield* open(url)
      const { said, error } = yield* hearOut(socket.messages)
      assert.deepStrictEqual(
        said.map((message) => (message._tag === "Token" ? message.text : message._tag)),
        ["Hello,", "VadEnd", "Ping", " world"]
      )
      assert.deepStrictEqual([error.reason, error.code], ["Closed", 4001])
    })
  )

  for (const [name, end, code] of [
    ["a close with 1000 is a typed end like any other", (ws: WebSocket) => ws.close(1000), 1000],
    ["a connection that breaks is a typed end", (ws: WebSocket) => ws.terminate(), 1006]
  ] as const)
    live(
      name,
      Effect.gen(function* () {
        const url = yield* kyutai(({ ws }) => end(ws))
        const socket = yield* open(url)
        const { error } = yield* hearOut(socket.messages)
        assert.deepStrictEqual([error.reason, error.code, error.retryable], ["Closed", code, true])
      })
    )

  live(
    "counts and skips whatever is not a message",
    Effect.gen(function* () {
      const url = yield* kyutai(({ ws }) => {
        for (const frame of [
          "",
          "no json",
          "[]",
          "null",
          "{}",
          '{"type":"token"}',
          '{"type":"token","text":7}',
          '{"text":"x"}'
        ])
          ws.send(frame)
        ws.send(Buffer.from([1, 2, 3]))
        ws.send(JSON.stringify({ type: "token", text: "x".repeat(100_000) }))
        ws.send(JSON.stringify({ type: "token", text: "y".repeat(1000) }))
        ws.close(1000)
      })
      const socket = yield* open(url)
      const { said } = yield* hearOut(socket.messages)
      assert.strictEqual(said.length, 1)
      const [only] = said
      assert.isTrue(only?._tag === "Token" && only.text.length === 512)
      const unknown = yield* Metric.value(Metric.withAttributes(Metrics.unknownMessages, { source: "modal" }))
      assert.strictEqual(unknown.count, 10)
    })
  )

  live(
    "an error message ends the socket without being quoted",
    Effect.gen(function* () {
      const url = yield* kyutai(({ ws }) => {
        ws.send(JSON.stringify({ type: "token", text: "one" }))
        ws.send(JSON.stringify({ type: "error", message: "could not transcribe 'my password is'" }))
      })
      const { said, error } = yield* hearOut((yield* open(url)).messages)
      assert.strictEqual(said.length, 1)
      assert.strictEqual(error.reason, "ServerError")
      assert.notInclude(error.message, "password")

      const full = yield* kyutai(({ ws }) => ws.send(JSON.stringify({ type: "error", message: "no free channels" })))
      assert.strictEqual(
        (yield* hearOut((yield* open(full)).messages)).error.detail,
        SocketModalClient.NO_FREE_CHANNELS
      )
    })
  )

  live(
    "sends float32 little endian and an empty message to stay alive",
    Effect.gen(function* () {
      const received: Array<Buffer> = []
      const done = yield* Deferred.make<void>()
      const url = yield* kyutai(({ ws }) => {
        ws.on("message", (data, isBinary) => {
          if (isBinary && Buffer.isBuffer(data)) received.push(data)
          if (received.length === 3) Deferred.doneUnsafe(done, Effect.void)
        })
      })
      const socket = yield* open(url)
      const whole = Float32Array.of(9, 0.5, -1, 9)
      assert.isTrue(socket.send(whole.subarray(1, 3)))
      // the samples may be reused at once
      whole.fill(7)
      socket.keepAlive()
      assert.isTrue(socket.send(new Float32Array(1920)))
      yield* Deferred.await(done)
      assert.deepStrictEqual(
        received.map((data) => data.length),
        [8, 0, 7680]
      )
      assert.deepStrictEqual([received[0]?.readFloatLE(0), received[0]?.readFloatLE(4)], [0.5, -1])
    })
  )

  live(
    "drops and counts audio that the network does not take",
    Effect.gen(function* () {
      const url = yield* kyutai(({ ws }) => ws.pause())
      const socket = yield* open(url)
      const chunk = new Float32Array(24_000)
      let sent = 0
      // kernel buffers on loopback take some megabytes first
      while (sent < 1000 && socket.send(chunk)) sent += 1
      assert.isBelow(sent, 1000)
      assert.isFalse(socket.send(chunk))
      const drops = yield* Metric.value(Metric.withAttributes(Metrics.drops, { reason: "engine_socket_full" }))
      assert.strictEqual(drops.count, 2)
    })
  )

  live(
    "a server that falls silent while it is sent audio ends the socket, also without a word from the network",
    Effect.gen(function* () {
      const url = yield* kyutai(({ ws }) => {
        let messages = 0
        ws.on("message", () => {
          if (++messages === 3) ws.pause()
        })
      })
      const socket = yield* open(url)
      const talking = Effect.sync(() => socket.send(new Float32Array(1920))).pipe(
        Effect.andThen(Effect.sleep("80 millis")),
        Effect.forever
      )
      const { error } = yield* Effect.raceFirst(hearOut(socket.messages), talking)
      assert.deepStrictEqual([error.reason, error.detail], ["Silent", "it gives no sign of life"])
      assert.isTrue(error.retryable)
    })
  )

  live(
    "a server that says nothing is kept while it answers pings, and so is one that never answered any",
    Effect.gen(function* () {
      const heard: Array<string> = []
      const count = (name: string) => () => heard.push(name)
      const answering = yield* kyutai(({ ws }) => ws.on("ping", count("ping")))
      const mute = yield* kyutai(({ ws }) => ws.on("ping", count("unanswered")), false)
      for (const url of [answering, mute]) {
        const socket = yield* open(url)
        const hearing = yield* Effect.forkScoped(hearOut(socket.messages))
        for (let frame = 0; frame < 20; frame++) {
          socket.send(new Float32Array(1920))
          yield* Effect.sleep("100 millis")
        }
        assert.isUndefined(hearing.pollUnsafe())
      }
      assert.isAtLeast(heard.filter((one) => one === "ping").length, 2)
      assert.strictEqual(heard.filter((one) => one === "unanswered").length, 1)
    })
  )

  for (const [status, reason, retryable] of [
    [401, "Unauthorized", false],
    [403, "Unauthorized", false],
    [407, "Unauthorized", false],
    [404, "Rejected", true],
    [503, "Rejected", true]
  ] as const)
    live(
      `HTTP ${status} on the upgrade is ${reason}`,
      Effect.gen(function* () {
        const url = yield* refusing(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
        const error = yield* Effect.flip(open(url))
        assert.deepStrictEqual([error.reason, error.code, error.retryable], [reason, status, retryable])
      })
    )

  live(
    "nobody listening is Unreachable, and the URL stays out of the message",
    Effect.gen(function* () {
      const error = yield* Effect.flip(open("ws://user:hunter2@127.0.0.1:1"))
      assert.strictEqual(error.message, "Unreachable: ECONNREFUSED")
    })
  )

  live(
    "garbage instead of a handshake is Unreachable",
    Effect.gen(function* () {
      const error = yield* Effect.flip(open(yield* refusing("mumble\r\n\r\n")))
      assert.strictEqual(error.reason, "Unreachable")
    })
  )

  live(
    "a server that does not answer is given up after the open timeout, a slow one is not",
    Effect.gen(function* () {
      const http = yield* listening
      http.on("upgrade", () => {})
      const error = yield* Effect.flip(open(`ws://127.0.0.1:${portOf(http)}`, "200 millis"))
      assert.strictEqual(error.reason, "OpenTimeout")

      const slow = yield* listening
      const server = new WebSocketServer({ noServer: true })
      const answer = yield* Deferred.make<() => void>()
      slow.on("upgrade", (request, socket, head) =>
        Deferred.doneUnsafe(
          answer,
          Effect.succeed(() => server.handleUpgrade(request, socket, head, (ws) => ws.close(4000)))
        )
      )
      const opening = yield* Effect.forkChild(open(`ws://127.0.0.1:${portOf(slow)}`))
      const proceed = yield* Deferred.await(answer)
      proceed()
      const { error: end } = yield* hearOut((yield* Fiber.join(opening)).messages)
      assert.strictEqual(end.code, 4000)
    })
  )

  live(
    "closes the socket with its scope",
    Effect.gen(function* () {
      const closed = yield* Deferred.make<number>()
      const url = yield* kyutai(({ ws }) => ws.on("close", (code) => Deferred.doneUnsafe(closed, Effect.succeed(code))))
      yield* Effect.scoped(open(url))
      assert.strictEqual(yield* Deferred.await(closed), 1000)
    })
  )

  live(
    "a server of one's own gets no Modal headers, and the path only where none is given",
    Effect.gen(function* () {
      const seen: Array<string> = []
      const url = yield* kyutai(({ ws, path, headers }) => {
        seen.push(`${path} ${headers["modal-key"] ?? "-"}`)
        ws.close(1000)
      })
      for (const suffix of ["", "/", "/custom/stream", "/?a=1"]) yield* hearOut((yield* open(url + suffix)).messages)
      assert.deepStrictEqual(seen, ["/v1/stream -", "/v1/stream -", "/custom/stream -", "/v1/stream?a=1 -"])
    })
  )

  live(
    "asks for the health of the server it opens sockets to, with the headers that belong there",
    Effect.gen(function* () {
      const seen: Array<string> = []
      let status = 200
      const http = yield* listening
      http.on("request", (request, response) => {
        seen.push(`${request.method} ${request.url} ${request.headers["modal-key"] ?? "-"}`)
        response.writeHead(status).end("{}")
      })
      const url = `ws://127.0.0.1:${portOf(http)}/v1/stream?a=1`
      const client = yield* ModalClient.pipe(
        Effect.provide(yield* Layer.build(SocketModalClient.layer({ url: { _tag: "Direct", url } })))
      )
      assert.isTrue(client.isLocal)
      // a server of one's own may have no such page
      for (status of [200, 404]) yield* client.probe
      const refused: Array<string> = []
      for (status of [401, 429, 503]) refused.push((yield* Effect.flip(client.probe)).message)
      assert.deepStrictEqual(refused, [
        "Unauthorized (401): the server does not accept our credentials",
        "Rejected (429): the server is not well",
        "Rejected (503): the server is not well"
      ])
      assert.deepStrictEqual(new Set(seen), new Set(["GET /health -"]))
    })
  )

  live(
    "a server that is not there, or does not answer, is told of without its address",
    Effect.gen(function* () {
      const probe = (url: string) =>
        ModalClient.use((client) => client.probe).pipe(
          Effect.provide(SocketModalClient.layer({ url: { _tag: "Direct", url }, openTimeout: "200 millis" })),
          Effect.flip
        )
      assert.strictEqual((yield* probe("ws://user:hunter2@127.0.0.1:1")).reason, "Unreachable")
      const http = yield* listening
      http.on("request", () => {})
      assert.strictEqual((yield* probe(`ws://127.0.0.1:${portOf(http)}`)).reason, "OpenTimeout")
    })
  )

  live(
    "only a loopback address is this machine",
    Effect.gen(function* () {
      const isLocal = (url: SocketModalClient.ModalAddress | undefined) =>
        ModalClient.useSync(({ isLocal }) => isLocal).pipe(Effect.provide(SocketModalClient.layer({ url })))
      assert.isTrue(yield* isLocal({ _tag: "Direct", url: "ws://localhost:8000" }))
      assert.isFalse(yield* isLocal({ _tag: "Direct", url: "wss://stt.example.org" }))
      assert.isFalse(yield* isLocal({ _tag: "Direct", url: "ws://localhost.example.org" }))
      assert.isFalse(yield* isLocal(undefined))
      const credentials = { _tag: "Modal", key: Redacted.make("wk-1"), secret: Redacted.make("ws-1") } as const
      assert.isFalse(yield* isLocal({ ...credentials, workspace: "acme" }))
    })
  )

  live(
    "makes Modal's URL and headers from workspace, suffix and credentials",
    Effect.gen(function* () {
      const credentials = { _tag: "Modal", key: Redacted.make("wk-1"), secret: Redacted.make("ws-1") } as const
      const standard = yield* SocketModalClient.targetOf({ ...credentials, workspace: "acme" })
      assert.strictEqual(standard.url, "wss://acme--kyutai-stt-rust-kyutaisttrustservice-serve.modal.run/v1/stream")
      assert.deepStrictEqual(standard.headers, { "Modal-Key": "wk-1", "Modal-Secret": "ws-1" })
      const other = yield* SocketModalClient.targetOf({
        ...credentials,
        workspace: "acme",
        hostSuffix: "--x.modal.run"
      })
      assert.strictEqual(other.url, "wss://acme--x.modal.run/v1/stream")
    })
  )

  live(
    "what cannot be a URL is NotConfigured",
    Effect.gen(function* () {
      const credentials = { _tag: "Modal", key: Redacted.make("k"), secret: Redacted.make("s") } as const
      for (const url of [
        undefined,
        { _tag: "Direct", url: "nonsense" } as const,
        { _tag: "Direct", url: "ftp://host" } as const,
        { ...credentials, workspace: "" },
        { ...credentials, workspace: "evil.example/" }
      ])
        assert.strictEqual((yield* Effect.flip(SocketModalClient.targetOf(url))).reason, "NotConfigured")
    })
  )
})
