import { spawn } from "node:child_process"
import { existsSync, writeFileSync } from "node:fs"
import { type IncomingMessage, type RequestOptions, request } from "node:http"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Schedule, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { listen } from "../../src/http/Listener.ts"
import * as Server from "../../src/http/Server.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import * as MemoryViewerLanguages from "../../src/layers/MemoryViewerLanguages.ts"
import { Engines } from "../../src/services/Engines.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { access, deployment, nextcloud, quotas } from "../support/HttpSetup.ts"
import { freePort } from "../support/ServiceProcess.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

interface Plain {
  readonly status: number
  readonly body: string
}

/** Below fetch, which hides what is tested here: unix sockets, host names, bodies without a length. */
const plain = (options: RequestOptions, chunks: ReadonlyArray<string> = []): Effect.Effect<Plain, Error> =>
  Effect.callback((resume) => {
    const asked = request(options, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk
      })
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, body })))
    })
    asked.on("error", (error) => resume(Effect.fail(error)))
    for (const chunk of chunks) asked.write(chunk)
    asked.end()
  })

const setup = Layer.mergeAll(
  FakeCalls.layer(FakeCalls.make()),
  nextcloud(),
  HubCaptionFeed.layer,
  MemoryViewerLanguages.layer,
  Layer.succeed(Engines, []),
  Logger.layer([])
)

describe("a listener", () => {
  it.live("on a unix socket takes the place of one that a killed process left behind", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "exapp.sock")
      yield* leaveSocketBehind(path)
      assert.isTrue(existsSync(path))
      const scope = yield* Scope.make()
      yield* Server.exApp({ path }).pipe(Layer.provide(Layer.merge(setup, deployment())), (layer) =>
        Layer.buildWithScope(layer, scope)
      )
      assert.deepStrictEqual(yield* plain({ socketPath: path, path: "/heartbeat" }), {
        status: 200,
        body: '{"status":"ok"}'
      })
      assert.strictEqual((yield* plain({ socketPath: path, path: "/enabled" })).status, 401)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(existsSync(path))
    })
  )

  it.live("does not remove what is no socket", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "precious")
      writeFileSync(path, "text")
      const error = yield* Layer.build(Server.exApp({ path })).pipe(
        Effect.provide(Layer.merge(setup, deployment())),
        Effect.flip
      )
      assert.strictEqual(error.message, `cannot listen on ${path}: EADDRINUSE (another program listens there)`)
      assert.isTrue(existsSync(path))
    })
  )

  it.live("says in one line where it cannot listen", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ port, close: () => server.close() }))
          })
        }),
        ({ close }) => Effect.sync(close)
      )
      const error = yield* Layer.build(Server.service({ host: "127.0.0.1", port: taken.port })).pipe(
        Effect.provide(Layer.mergeAll(setup, deployment(), quotas(), access())),
        Effect.flip
      )
      assert.strictEqual(
        error.message,
        `cannot listen on 127.0.0.1:${taken.port}: EADDRINUSE (another program listens there)`
      )
    })
  )

  it.live("answers those who came before it was ready, and says only then that it listens", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const isReady = yield* Deferred.make<void>()
      const isBuilding = yield* Deferred.make<void>()
      const lines: Array<string> = []
      const upgraded = yield* Deferred.make<string | undefined>()
      const app = HttpRouter.serve(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")), {
        disableLogger: true,
        disableListenLog: true
      })
      const slow = Layer.unwrap(
        Deferred.succeed(isBuilding, undefined).pipe(Effect.andThen(Deferred.await(isReady)), Effect.as(app))
      )
      const upgrades = {
        take: ({ url }: IncomingMessage, socket: Duplex) => {
          Deferred.doneUnsafe(upgraded, Effect.succeed(url))
          socket.destroy()
          return true
        },
        close: Effect.void
      }
      const built = yield* Effect.forkScoped(
        Layer.build(listen(slow, { name: "test", address: { host: "127.0.0.1", port }, upgrades })).pipe(
          Effect.provide(Logger.layer([Logger.make((line) => lines.push(Logger.formatJson.log(line)))]))
        )
      )
      yield* Deferred.await(isBuilding)
      const early = yield* Effect.forkScoped(plain({ host: "127.0.0.1", port, path: "/" }))
      const hasWritten = yield* Deferred.make<void>()
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(
          "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
          () => Deferred.doneUnsafe(hasWritten, Effect.void)
        )
      }).on("error", () => {})
      yield* Deferred.await(hasWritten)
      // Long enough for both to arrive; too short would only make this test easier to pass.
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(lines, [])
      yield* Deferred.succeed(isReady, undefined)
      assert.deepStrictEqual(yield* Fiber.join(early), { status: 200, body: "hello" })
      assert.strictEqual(yield* Deferred.await(upgraded), "/socket")
      yield* Fiber.join(built)
      assert.include(lines.join(), "listening")
      socket.destroy()
    })
  )

  it.live("without a token answers only to names of this machine", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Layer.build(
        Server.service({ host: "127.0.0.1", port }).pipe(
          Layer.provide(Layer.mergeAll(setup, deployment(), quotas(), access({ apiToken: undefined })))
        )
      )
      const statusAs = (host: string) =>
        Effect.map(
          plain({ host: "127.0.0.1", port, path: "/api/v1/status", headers: { host } }),
          ({ status }) => status
        )
      for (const host of ["localhost", `localhost:${port}`, "127.0.0.1", `[::1]:${port}`]) {
        assert.strictEqual(yield* statusAs(host), 200, host)
      }
      for (const host of [
        "evil.example.com",
        "127.0.0.1.evil.example.com",
        "localhost.evil.example.com:80",
        "10.0.0.1"
      ]) {
        assert.strictEqual(yield* statusAs(host), 403, host)
      }
    })
  )

  it.live("stops reading a body that is too large, whatever it said of its length", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Layer.build(
        Server.service({ host: "127.0.0.1", port }).pipe(
          Layer.provide(Layer.mergeAll(setup, deployment(), quotas(), access({ apiToken: undefined })))
        )
      )
      const chunks = [
        '{"roomToken":"',
        ..."x"
          .repeat(10)
          .split("")
          .map((x) => x.repeat(10_000)),
        '"}'
      ]
      const headers = { "content-type": "application/json", "transfer-encoding": "chunked" }
      const answer = yield* plain(
        { host: "127.0.0.1", port, method: "POST", path: "/api/v1/call/transcribe", headers },
        chunks
      )
      assert.deepStrictEqual(answer, { status: 413, body: '{"error":"the body is larger than 64 KiB"}' })
    })
  )

  it.live("that closes accepts nothing new, finishes what it was asked, and waits for nobody else", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const asked = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const slow = HttpRouter.add(
        "GET",
        "/slow",
        Deferred.succeed(asked, undefined).pipe(
          Effect.andThen(Deferred.await(answer)),
          Effect.as(HttpServerResponse.text("done"))
        )
      )
      const scope = yield* Scope.make()
      const app = HttpRouter.serve(slow, { disableLogger: true, disableListenLog: true })
      yield* Layer.buildWithScope(
        listen(app, { name: "test", address: { host: "127.0.0.1", port } }).pipe(Layer.provide(Logger.layer([]))),
        scope
      )
      // Somebody who begins a request and never ends it.
      const idler = connect(port, "127.0.0.1").on("error", () => {})
      idler.write("GET / HTTP/1.1\r\nHost: ")
      const first = yield* Effect.forkChild(plain({ host: "127.0.0.1", port, path: "/slow" }))
      yield* Deferred.await(asked)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* plain({ host: "127.0.0.1", port, path: "/slow", agent: false }).pipe(
        Effect.flip,
        Effect.retry(Schedule.spaced("20 millis"))
      )
      yield* Deferred.succeed(answer, undefined)
      assert.deepStrictEqual(yield* Fiber.join(first), { status: 200, body: "done" })
      yield* Fiber.join(closing)
      idler.destroy()
    })
  )
})

/** What remains of a process that was killed: the file, and nobody behind it. */
const leaveSocketBehind = (path: string) =>
  Effect.callback<void>((resume) => {
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
    spawn(process.execPath, ["-e", script]).on("close", () => resume(Effect.void))
  })
