import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as EngineSocket from "../../src/layers/EngineSocket.ts"
import * as LocalServer from "../../src/layers/LocalServer.ts"
import { live } from "../support/Live.ts"

/** A server on loopback, and the first who comes. */
const serving = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly client: Promise<WebSocket>; readonly server: WebSocketServer }>(
    (resume) => {
      const server = new WebSocketServer({
        port: 0,
        host: "127.0.0.1",
        perMessageDeflate: true,
        handleProtocols: (offered) => [...offered].at(-1) ?? false
      })
      const client = new Promise<WebSocket>((done) => server.on("connection", done))
      server.on("listening", () => {
        const address = server.address()
        const port = address !== null && typeof address === "object" ? address.port : 0
        resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, client, server }))
      })
    }
  ),
  ({ server }) =>
    Effect.callback<void>((resume) => {
      for (const client of server.clients) client.terminate()
      server.close(() => resume(Effect.void))
    })
)

const options = { openTimeout: "5 seconds", maxPayload: 64 * 1024, maxWaitingBytes: 1024 * 1024 } as const

describe("EngineSocket", () => {
  live(
    "a slow reader holds the server up and loses nothing",
    Effect.gen(function* () {
      const { url, client } = yield* serving
      const socket = yield* EngineSocket.open({ ...options, url })
      const server = yield* Effect.promise(() => client)
      const padding = "x".repeat(1000)
      const total = 30_000
      for (let index = 0; index < total; index++) server.send(`${index} ${padding}`)
      server.close(4000)
      yield* Effect.sleep("500 millis")
      // 30 MB: more than the kernel keeps
      assert.isAbove(server.bufferedAmount, 10_000_000)
      assert.strictEqual(socket.quietMs(), 0)
      let next = 0
      const end = yield* socket.messages.pipe(
        Stream.runForEach(({ data }) =>
          Effect.sync(() => {
            assert.isTrue(typeof data === "string" && data.startsWith(`${next} `))
            next += 1
          })
        ),
        Effect.flip
      )
      assert.strictEqual(next, total)
      assert.deepInclude(end, { reason: "Closed", code: 4000 })
    })
  )

  live(
    "closes while nobody reads",
    Effect.gen(function* () {
      const { url, client } = yield* serving
      const closed = yield* Effect.forkChild(
        Effect.promise(() => client.then((one) => new Promise<number>((done) => one.on("close", done))))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* EngineSocket.open({ ...options, url })
          const server = yield* Effect.promise(() => client)
          for (let index = 0; index < 5000; index++) server.send("x".repeat(1000))
          yield* Effect.sleep("100 millis")
        })
      )
      assert.strictEqual(yield* Fiber.join(closed), 1000)
    })
  )

  live(
    "offers subprotocols and headers, and no compression; messages keep their kind",
    Effect.gen(function* () {
      const { url, client, server } = yield* serving
      const offered = new Promise<string | undefined>((done) =>
        server.on("headers", (_headers, request) =>
          done(`${request.headers["x-key"]} ${request.headers["sec-websocket-extensions"]}`)
        )
      )
      const socket = yield* EngineSocket.open({
        ...options,
        url: url.replace("ws:", "http:"),
        headers: { "x-key": "k" },
        protocols: ["a", "b"]
      })
      assert.strictEqual(yield* Effect.promise(() => offered), "k undefined")
      const one = yield* Effect.promise(() => client)
      assert.strictEqual(one.protocol, "b")
      const received: Array<string> = []
      const both = new Promise<void>((done) =>
        one.on("message", (data, isBinary) => {
          if (received.push(`${isBinary} ${String(data)}`) === 2) done()
        })
      )
      const bytes = Buffer.from("bytes")
      socket.send("text")
      socket.send(bytes)
      bytes.fill(0)
      one.send("text")
      one.send(Buffer.from("bytes"))
      assert.strictEqual((yield* socket.take).data, "text")
      const { data } = yield* socket.take
      assert.isTrue(data instanceof Uint8Array)
      yield* Effect.promise(() => both)
      assert.deepStrictEqual(received, ["false text", "true bytes"])
    })
  )

  live(
    "says once that it is stuck when the network takes no more",
    Effect.gen(function* () {
      const { url, client } = yield* serving
      const socket = yield* EngineSocket.open({ ...options, url })
      const server = yield* Effect.promise(() => client)
      server.pause()
      const stuck = yield* Effect.forkChild(Effect.flip(socket.stuck))
      let sent = 0
      while (sent < 1000 && socket.send(new Uint8Array(60_000))) sent += 1
      assert.isBelow(sent, 1000)
      assert.isFalse(socket.send("more"))
      assert.strictEqual((yield* Fiber.join(stuck)).reason, "Silent")
    })
  )

  for (const [status, reason] of [
    ["401 Unauthorized", "Refused"],
    ["402 Payment Required", "Refused"],
    ["403 Forbidden", "Refused"],
    ["429 Too Many Requests", "Busy"],
    ["503 Service Unavailable", "Busy"],
    ["500 Internal Server Error", "Unreachable"],
    ["502 Bad Gateway", "Unreachable"],
    ["404 Not Found", "Unreachable"]
  ] as const)
    live(
      `a handshake that is answered with ${status} means ${reason}`,
      Effect.gen(function* () {
        const port = yield* LocalServer.listen(0, {
          onRequest: () => {},
          onUpgrade: (_request, socket) => LocalServer.refuseUpgrade(socket, status)
        })
        const error = yield* Effect.flip(EngineSocket.open({ ...options, url: `ws://127.0.0.1:${port}` }))
        assert.deepInclude(EngineSocket.toEngineError(error), { reason, retryable: reason !== "Refused" })
      })
    )

  live(
    "a server that answers pings and is gone is found while something is sent, and later where it may take its time",
    Effect.gen(function* () {
      const gone = Effect.fnUntraced(function* (pongWithin: "1 second" | "3 seconds") {
        const { url, client } = yield* serving
        const socket = yield* EngineSocket.open({ ...options, url, pongWithin })
        const server = yield* Effect.promise(() => client)
        // the first ping, which shows that it answers them, is answered by now
        yield* Effect.sleep("1 second")
        server.pause()
        const fromMs = performance.now()
        yield* Effect.forkScoped(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => socket.send("x")),
              Effect.sleep("80 millis")
            )
          )
        )
        assert.strictEqual((yield* Effect.flip(socket.stuck)).reason, "Silent")
        return performance.now() - fromMs
      })
      const [soon, late] = yield* Effect.all([gone("1 second"), gone("3 seconds")], { concurrency: "unbounded" })
      assert.isBelow(soon, late)
    })
  )
})
