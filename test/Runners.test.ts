/**
 * A service of several processes: what they share, how they begin and how they end.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { request as secureRequest } from "node:https"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import * as EndingScene from "./support/EndingScene.ts"
import { appApiHeaders } from "./support/HttpSetup.ts"
import * as RunnersScene from "./support/RunnersScene.ts"
import { selfSigned } from "./support/SelfSigned.ts"
import { freePort, start } from "./support/ServiceProcess.ts"
import { temporaryFolder } from "./support/TemporaryFolder.ts"
import { until } from "./support/Until.ts"

/** ms; several processes, on a busy machine. */
const PATIENCE = 240_000
const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), PATIENCE)

const ADMIN = "the-token-of-the-administrator"
const ADA = "the-token-that-ada-was-given"
const BOB = "the-token-that-bob-was-given"

const tokensFile = Effect.map(temporaryFolder, (folder) => {
  const path = join(folder, "tokens.json")
  const tokens = [
    { name: "ada", token: ADA, concurrentStreams: 3 },
    { name: "bob", token: BOB, minutesPerDay: 1 }
  ]
  writeFileSync(path, JSON.stringify(tokens))
  return path
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** Enough that each runner gets some: connections go to them in turn. */
const OFTEN = [1, 2, 3, 4]

describe("runners", () => {
  live(
    "let everybody in whom one of them would, within the quotas of one service, and show no secret in their arguments",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const day = new Date().toISOString().slice(0, 10)
      writeFileSync(join(storage, "quotas.json"), JSON.stringify({ day, spent: [{ subject: "bob", seconds: 50 }] }))
      const scene = yield* RunnersScene.make({
        APP_PERSISTENT_STORAGE: storage,
        LT_API_TOKEN: ADMIN,
        LT_TOKENS_FILE: yield* tokensFile
      })
      const active = (token: string) =>
        Effect.map(
          scene.text("/api/v1/audio/stream/limits", bearer(token)),
          (text): number => JSON.parse(text).active_streams
        )
      const untilActive = (token: string, count: number) =>
        active(token).pipe(Effect.repeat({ until: (now) => now === count, schedule: Schedule.spaced("50 millis") }))

      // Ada: three at a time.
      const clients = yield* Effect.forEach(Array.from({ length: 7 }), () => scene.connect(ADA))
      for (const client of clients) client.send({ action: "start", details: true })
      yield* until(
        () => clients.filter(({ messages }) => messages.some(isDenied("no more than 3 streams"))).length === 4
      )
      yield* Effect.forEach(OFTEN, () => untilActive(ADA, 3))
      const served = clients.filter(({ messages }) => !messages.some(isDenied("no more than 3 streams")))
      served[0]?.socket.close()
      yield* untilActive(ADA, 2)

      // Bob: a minute in a day, of which ten seconds are left: none of his three sessions comes to ten by itself.
      const bobs = yield* Effect.forEach([1, 2, 3], () => scene.connect(BOB))
      for (const bob of bobs) bob.send({ action: "start", details: true })
      for (let second = 0; second < 9; second++) {
        for (const bob of bobs.filter(RunnersScene.isOpen)) bob.send(new Uint8Array(48_000))
        yield* Effect.sleep("1 second")
      }
      for (const bob of bobs) yield* bob.said(isDenied("for this day is used up"))
      for (const _ of OFTEN) {
        const late = yield* scene.connect(BOB)
        late.send({ action: "start", details: true })
        yield* late.said(isDenied("quota of 1 min"))
      }

      // What one has minted all recognise.
      const minted = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${scene.port}/v1/realtime/client_secrets`, { method: "POST", headers: bearer(ADMIN) })
      )
      const { value }: { value: string } = JSON.parse(yield* Effect.promise(() => minted.text()))
      const before = yield* active(ADMIN)
      const guests = yield* Effect.forEach(Array.from({ length: 20 }), () => scene.connect(value))
      for (const guest of guests) guest.send({ action: "start", details: true })
      yield* untilActive(ADMIN, before + guests.length)

      // One that dies gives back what it held.
      const [, second = 0] = scene.runners()
      process.kill(second, "SIGKILL")
      const open = (clients: typeof guests) => clients.filter(RunnersScene.isOpen).length
      yield* until(() => open(guests) < guests.length)
      yield* RunnersScene.untilStill(() => open([...guests, ...served]))
      yield* untilActive(ADMIN, open(guests))
      yield* untilActive(ADA, open(served))

      const pids = [scene.service.child.pid ?? 0, ...scene.runners()]
      for (const pid of pids) {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        for (const secret of [ADMIN, ADA, BOB, value]) assert.notInclude(line, secret)
      }
    })
  )

  live(
    "answer on a unix socket and in TLS, keep what Nextcloud has told one of them, and one that is told to end is replaced",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { certificate, key } = selfSigned(folder, "runners")
      const socketPath = join(folder, "exapp.sock")
      const scene = yield* RunnersScene.make({
        APP_SECRET: "s3cret",
        HP_SHARED_KEY: "key",
        HP_EXAPP_SOCK: socketPath,
        LT_TLS_CERT: certificate,
        LT_TLS_KEY: key
      })
      const ask = (method: string, path: string) =>
        answerOf((then) => request({ socketPath, path, method, headers: appApiHeaders("s3cret"), agent: false }, then))
      const isEnabled = Effect.forEach(OFTEN, () => ask("GET", "/enabled"))
      assert.deepStrictEqual(
        yield* isEnabled,
        OFTEN.map(() => '{"enabled":true}')
      )
      yield* ask("PUT", "/enabled?enabled=0")
      assert.deepStrictEqual(
        yield* isEnabled,
        OFTEN.map(() => '{"enabled":false}')
      )
      for (const _ of OFTEN) {
        const { port } = scene
        const options = { host: "127.0.0.1", port, path: "/heartbeat", agent: false, rejectUnauthorized: false }
        assert.strictEqual(yield* answerOf((then) => secureRequest(options, then)), '{"status":"ok"}')
      }

      const [, second = 0] = scene.runners()
      process.kill(second, "SIGTERM")
      yield* until(() => !RunnersScene.isAlive(second))
      yield* until(() => scene.service.output().split("takes its share").length === 3)
      assert.deepStrictEqual(
        yield* isEnabled,
        OFTEN.map(() => '{"enabled":false}')
      )
      assert.include(scene.service.output(), `"pid":${second},"code":0`)
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
    })
  )

  live(
    "whose supervisor is killed end by themselves, with the last words",
    Effect.gen(function* () {
      const scene = yield* RunnersScene.make({}, { delayMs: 500 })
      const runners = scene.runners()
      const clients = yield* Effect.forEach(OFTEN, () => scene.connect())
      for (const client of clients) client.send({ action: "start", details: true })
      yield* RunnersScene.speak(clients, EndingScene.words)
      scene.service.child.kill("SIGKILL")
      for (const client of clients) {
        assert.strictEqual((yield* client.closed).code, 1001)
        assert.deepStrictEqual(EndingScene.readBy(client), EndingScene.spoken)
      }
      yield* until(() => !runners.some(RunnersScene.isAlive))
    })
  )

  live(
    "of which one is frozen answer everybody, also who was on the way to that one",
    Effect.gen(function* () {
      const scene = yield* RunnersScene.make()
      const [, second = 0] = scene.runners()
      process.kill(second, "SIGSTOP")
      const answers = yield* Effect.forEach(Array.from({ length: 8 }), () => scene.text("/heartbeat"), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(answers), new Set(['{"status":"ok"}']))
      yield* until(() => !RunnersScene.isAlive(second))
    })
  )

  live(
    "that cannot begin end with one line, as a service of one process does",
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = taken.address()
      const PORT = String(typeof address === "object" ? address?.port : 0)
      for (const [environment, says] of [
        [{ PORT, LOG_LEVEL: "error" }, `cannot listen on 127.0.0.1:${PORT}: EADDRINUSE`],
        [{ PORT: String(yield* freePort), LT_MAX_STREAMS: "none" }, "LT_MAX_STREAMS must be"]
      ] as const) {
        const service = yield* start({ LT_RUNNERS: "2", STT_STREAM_URL: "ws://127.0.0.1:9", ...environment })
        assert.deepStrictEqual(yield* service.exit, { code: 1, signal: null })
        const lines = service
          .output()
          .trimEnd()
          .split("\n")
          .filter((line) => !line.includes("key of your service"))
        assert.strictEqual(lines.length, 1, service.output())
        assert.include(lines[0], says)
      }
    })
  )
})

const isDenied = (why: string) => (message: Readonly<Record<string, unknown>>) => String(message["error"]).includes(why)

const answerOf = (send: (then: (response: NodeJS.ReadableStream) => void) => ReturnType<typeof request>) =>
  Effect.callback<string>((resume) => {
    const asked = send((response) => {
      let text = ""
      response.on("data", (chunk) => {
        text += String(chunk)
      })
      response.on("end", () => resume(Effect.succeed(text)))
    })
    asked.on("error", (error) => resume(Effect.die(error)))
    asked.end()
  })
