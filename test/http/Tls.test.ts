import { spawn } from "node:child_process"
import { copyFileSync, writeFileSync } from "node:fs"
import { request as plainRequest } from "node:http"
import { Agent, request } from "node:https"
import { connect as connectPlain } from "node:net"
import { join } from "node:path"
import { connect, type TLSSocket } from "node:tls"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import WebSocket from "ws"
import type { CertificateFiles } from "../../src/http/Certificate.ts"
import { listen } from "../../src/http/Listener.ts"
import { recorder } from "../support/AccessScene.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const app = HttpRouter.serve(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")), {
  disableLogger: true,
  disableListenLog: true
})

const serve = Effect.fnUntraced(function* (certificate: CertificateFiles) {
  const port = yield* freePort
  const { layer: log, lines } = recorder()
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  yield* listen(app, { name: "test", address: { host: "127.0.0.1", port }, certificate }).pipe(
    Layer.buildWithScope(scope),
    Effect.provide(log)
  )
  return { port, lines, end: Scope.close(scope, Exit.void) }
})

/** The answer, and in which version of HTTP. */
const ask = (port: number, agent: Agent) =>
  Effect.callback<{ readonly body: string; readonly version: string }, Error>((resume) => {
    request({ host: "127.0.0.1", port, agent, path: "/" }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk
      })
      response.on("end", () => resume(Effect.succeed({ body, version: response.httpVersion })))
    })
      .on("error", (error) => resume(Effect.fail(error)))
      .end()
  })

/** The name in the certificate that a new connection is shown. */
const nameAt = (port: number) =>
  Effect.callback<string, Error>((resume) => {
    const socket: TLSSocket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resume(Effect.succeed(String(socket.getPeerCertificate().subject.CN)))
      socket.destroy()
    }).on("error", (error) => resume(Effect.fail(error)))
  })

/** Files take real time, whatever the clock says: lets it go on, ten seconds a look, until it is so. */
const until = <E>(isSo: Effect.Effect<boolean, E>) =>
  Effect.repeat(
    TestClock.adjust("10 seconds").pipe(
      Effect.andThen(TestClock.withLive(Effect.sleep("5 millis"))),
      Effect.andThen(isSo)
    ),
    { until: (so) => so }
  )

describe("a listener with a certificate", () => {
  it.effect("speaks TLS and HTTP/1.1, and nothing to those who do not", () =>
    Effect.gen(function* () {
      const { ca, ...files } = selfSigned(yield* temporaryFolder, "first")
      const { lines, port } = yield* serve(files)
      const answer = yield* ask(port, new Agent({ ca, ALPNProtocols: ["h2", "http/1.1"] }))
      assert.deepStrictEqual(answer, { body: "hello", version: "1.1" })
      yield* Effect.flip(ask(port, new Agent({})))
      yield* Effect.flip(
        Effect.callback<number, Error>((resume) => {
          plainRequest({ host: "127.0.0.1", port }, ({ statusCode }) => resume(Effect.succeed(statusCode ?? 0)))
            .on("error", (error) => resume(Effect.fail(error)))
            .end()
        })
      )
      assert.include(lines.join(), `https://127.0.0.1:${port}`)
    })
  )

  it.effect("shows a new one to new connections when the files have changed, and keeps those that are open", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { ca, ...files } = selfSigned(folder, "first")
      const second = selfSigned(folder, "second")
      const { lines, port } = yield* serve(files)
      const open = new Agent({ ca, keepAlive: true, maxSockets: 1 })
      yield* ask(port, open)
      assert.strictEqual(yield* nameAt(port), "first")

      // The key comes a moment later: for that moment the old pair is served.
      copyFileSync(second.certificate, files.certificate)
      yield* until(Effect.sync(() => lines.some((line) => line.includes("does not belong"))))
      assert.strictEqual(yield* nameAt(port), "first")
      copyFileSync(second.key, files.key)
      yield* until(Effect.map(nameAt(port), (name) => name === "second"))
      assert.strictEqual((yield* ask(port, open)).body, "hello")
      open.destroy()

      writeFileSync(files.key, "garbage")
      yield* until(Effect.sync(() => lines.some((line) => line.includes("not a private key"))))
      const said = lines.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* nameAt(port), "second")
      assert.strictEqual(lines.length, said)
      assert.notInclude(lines.join(), "garbage")
    })
  )

  it.effect("says in one line which file cannot be used, and why", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = selfSigned(folder, "first")
      const second = selfSigned(folder, "second")
      const locked = selfSigned(folder, "locked", ["-passout", "pass:secret-phrase"])
      const weak = selfSigned(folder, "weak", ["-noenc"], ["rsa:512"])
      const garbage = join(folder, "garbage")
      writeFileSync(garbage, "secret-phrase")
      for (const [certificate, key, says] of [
        ["/nonexistent.crt", first.key, "LT_TLS_CERT names a file that cannot be read (/nonexistent.crt: NotFound)"],
        [
          first.certificate,
          "/nonexistent.key",
          "LT_TLS_KEY names a file that cannot be read (/nonexistent.key: NotFound)"
        ],
        [garbage, first.key, "LT_TLS_CERT is not a certificate in PEM"],
        [first.certificate, garbage, "LT_TLS_KEY is not a private key in PEM without a passphrase"],
        [locked.certificate, locked.key, "LT_TLS_KEY is not a private key in PEM without a passphrase"],
        [
          weak.certificate,
          weak.key,
          "LT_TLS_CERT is a certificate that TLS refuses, perhaps for a key that is too short"
        ],
        [first.certificate, second.key, "LT_TLS_KEY does not belong to the certificate of LT_TLS_CERT"]
      ] as const) {
        const error = yield* Effect.flip(serve({ certificate, key }))
        assert.strictEqual(error.message, says)
      }
    })
  )

  it.live("does not wait for those who never finish their handshake when it closes", () =>
    Effect.gen(function* () {
      const { ca: _, ...files } = selfSigned(yield* temporaryFolder, "first")
      const { end, port } = yield* serve(files)
      const idler = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof connectPlain>>((resume) => {
          const socket = connectPlain(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
          socket.on("error", () => {})
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      yield* end
      assert.isFalse(idler.destroyed)
      yield* Effect.flip(nameAt(port))
    })
  )
})

/** The exit code of the container's health check, from the same environment. */
const healthcheck = (environment: Record<string, string>) =>
  Effect.callback<number>((resume) => {
    const script = fileURLToPath(new URL("../../docker/healthcheck.mjs", import.meta.url))
    spawn(process.execPath, [script], { env: { PATH: process.env["PATH"], ...environment } }).on("close", (code) =>
      resume(Effect.succeed(code ?? -1))
    )
  })

describe("the service with LT_TLS_CERT and LT_TLS_KEY", () => {
  it.live("speaks https and wss on PORT, and reads them again at a SIGHUP", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { ca, ...files } = selfSigned(folder, "first")
      const second = selfSigned(folder, "second")
      const port = yield* freePort
      const service = yield* start({
        PORT: String(port),
        LT_API_TOKEN: "token",
        LT_LISTEN_HOST: "127.0.0.1",
        LT_TLS_CERT: files.certificate,
        LT_TLS_KEY: files.key
      })
      yield* service.says(`https://127.0.0.1:${port}`)
      assert.strictEqual(yield* nameAt(port), "first")
      const opened = yield* Effect.callback<string>((resume) => {
        const socket = new WebSocket(`wss://localhost:${port}/v1/transcriptions`, {
          ca,
          headers: { authorization: "Bearer token" }
        })
        socket.on("open", () => {
          resume(Effect.succeed("open"))
          socket.close()
        })
        socket.on("error", ({ message }) => resume(Effect.succeed(message)))
      })
      assert.strictEqual(opened, "open")

      assert.strictEqual(yield* healthcheck({ PORT: String(port), LT_TLS_CERT: files.certificate }), 0)
      copyFileSync(second.certificate, files.certificate)
      copyFileSync(second.key, files.key)
      service.child.kill("SIGHUP")
      yield* Effect.repeat(nameAt(port), { until: (name) => name === "second", schedule: Schedule.spaced("20 millis") })
      service.child.kill("SIGTERM")
      assert.strictEqual((yield* service.exit).code, 0)
    })
  )

  it.live("does not start with a certificate that it cannot read", () =>
    Effect.gen(function* () {
      const service = yield* start({
        PORT: String(yield* freePort),
        LT_TLS_CERT: "/nonexistent.crt",
        LT_TLS_KEY: "/nonexistent.key"
      })
      assert.strictEqual((yield* service.exit).code, 1)
      assert.include(service.output(), "LT_TLS_CERT names a file that cannot be read")
    })
  )
})
