/**
 * Secrets never reach a log, a span, a metric or an error message; nor do the words that were said (Captions and engines under the
 * loudest log level).
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, References, Schedule, Tracer } from "effect"
import { HttpMiddleware } from "effect/http"
import { SignJWT } from "jose"
import WebSocket from "ws"
import { Calls } from "../../src/services/Calls.ts"
import * as FakeHpb from "../support/FakeHpb.ts"
import { apiToken, appApiHeaders, appSecret, ask, bearer, exApp, service } from "../support/HttpSetup.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const secrets = {
  LT_INTERNAL_SECRET: "leak-internal",
  MODAL_KEY: "leak-modal-key",
  MODAL_SECRET: "leak-modal-secret",
  LT_API_TOKEN: "leak-api-token",
  APP_SECRET: "leak-app-secret",
  LT_JWT_SECRET: "leak-jwt-secret-of-32-characters",
  HP_SHARED_KEY: ""
}

/** As they are, and as they travel. */
const formsOf = (secret: string) => [
  secret,
  Buffer.from(secret).toString("base64"),
  Buffer.from(`:${secret}`).toString("base64"),
  encodeURIComponent(secret)
]

const assertClean = (text: string, where: string, more: ReadonlyArray<string> = []) => {
  for (const secret of [...Object.values(secrets), appSecret, apiToken, ...more].filter((one) => one !== "")) {
    for (const form of formsOf(secret)) assert.notInclude(text, form, where)
  }
}

/** A Nextcloud that tells everything it knows about TURN, and fails at the rest. */
const nextcloud = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly asked: () => number; readonly close: () => void }>((resume) => {
    let asked = 0
    const server = createServer((request, response) => {
      asked++
      const isSettings = request.url?.includes("/signaling/settings") === true
      const turn = {
        urls: ["turn:127.0.0.1:9?transport=udp"],
        username: "leak-turn-user",
        credential: "leak-turn-password"
      }
      response
        .writeHead(isSettings ? 200 : 500, { "content-type": "application/json" })
        .end(JSON.stringify({ ocs: { meta: { status: "ok" }, data: { turnservers: [turn] } } }))
    }).listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, asked: () => asked, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const get = (url: string, init?: RequestInit) =>
  Effect.promise(() => fetch(url, init).then(async (response) => `${response.status} ${await response.text()}`))

/** Opens a streaming socket, says something, and gives what it was told, to the close code. */
const stream = (url: string, headers: Record<string, string>, message: string) =>
  Effect.callback<string>((resume) => {
    const told: Array<string> = []
    const socket = new WebSocket(url, { headers })
    socket.on("open", () => socket.send(message))
    socket.on("message", (data) => told.push(String(data)))
    socket.on("error", ({ message }) => told.push(message))
    socket.on("close", (code, reason) => resume(Effect.succeed([...told, code, reason].join("\n"))))
    return Effect.sync(() => socket.terminate())
  })

const signed = Effect.promise(() =>
  new SignJWT({ sub: "somebody", aud: "transcribe" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1 hour")
    .sign(new TextEncoder().encode(secrets.LT_JWT_SECRET))
)

describe("the whole process, as talkative as it can be", () => {
  it.live("says no credential of those who stream, good or bad, wherever they put it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const tokens = join(folder, "tokens.json")
      writeFileSync(tokens, JSON.stringify([{ name: "alice", token: "leak-file-token" }]))
      const PORT = String(yield* freePort)
      const parlance = yield* start({
        PORT,
        LT_API_TOKEN: secrets.LT_API_TOKEN,
        LT_JWT_SECRET: secrets.LT_JWT_SECRET,
        LT_TOKENS_FILE: tokens,
        LT_LISTEN_HOST: "127.0.0.1",
        LOG_LEVEL: "debug"
      })
      yield* parlance.says(`:${PORT}"`)
      const [api, door] = [`http://127.0.0.1:${PORT}`, `ws://127.0.0.1:${PORT}`]
      const limits = `${api}/api/v1/audio/stream/limits`
      const jwt = yield* signed
      const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
      const minted = yield* Effect.promise(() =>
        fetch(`${api}/v1/realtime/client_secrets`, {
          method: "POST",
          headers: { ...bearer(jwt), "content-type": "application/json" },
          body: "{}"
        }).then((response) => response.json())
      )
      const short = String(Object(minted).value)
      assert.match(short, /^ek_/)
      const answers = yield* Effect.all([
        get(`${limits}?token=leak-file-token`),
        get(`${limits}?token=leak-guess`),
        get(limits, { headers: { "x-api-key": jwt } }),
        get(limits, { headers: bearer(short) }),
        get(limits, { headers: bearer(`${jwt}leak-guess`) }),
        get(`${api}/metrics`, { headers: bearer(secrets.LT_API_TOKEN) })
      ])
      assert.deepStrictEqual(
        answers.map((answer) => answer.slice(0, 3)),
        ["200", "401", "200", "200", "401", "200"]
      )
      answers.push(
        yield* stream(`${door}/v1/transcriptions?token=leak-guess`, {}, '{"action":"start"}'),
        yield* stream(`${door}/v1/transcriptions?token=leak-file-token`, {}, "leak-guess"),
        yield* stream(`${door}/v1/transcriptions`, {}, '{"action":"start","token":"leak-guess"}')
      )
      writeFileSync(tokens, '[{"name": "alice", "token": "leak-file-token"')
      answers.push(yield* get(`${limits}?token=leak-file-token`))
      yield* parlance.says("LT_TOKENS_FILE cannot be used")
      parlance.child.kill("SIGTERM")
      assert.strictEqual((yield* parlance.exit).code, 0)
      const more = ["leak-guess", "leak-file-token", jwt, short]
      assertClean(parlance.output(), "the log", more)
      for (const answer of answers) assertClean(answer, "an answer", more)
    })
  )

  it.live("says its generated key once, and never writes it down", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const environment = { APP_PERSISTENT_STORAGE: folder, LOG_LEVEL: "debug" }
      const first = yield* start({ ...environment, PORT: String(yield* freePort) })
      yield* first.says("listening")
      first.child.kill("SIGTERM")
      yield* first.exit
      const keys = first.output().match(/parlance_[\w-]{43}/g) ?? []
      assert.strictEqual(keys.length, 1)
      const key = keys[0] ?? ""
      const PORT = String(yield* freePort)
      const second = yield* start({ ...environment, PORT })
      yield* second.says("listening")
      const limits = `http://127.0.0.1:${PORT}/api/v1/audio/stream/limits`
      const answers = yield* Effect.all([
        get(limits, { headers: { authorization: `Bearer ${key}` } }),
        get(`${limits}?token=${key}`),
        get(`http://127.0.0.1:${PORT}/metrics`, { headers: { authorization: `Bearer ${key}` } })
      ])
      for (const answer of answers) assert.match(answer, /^200/)
      second.child.kill("SIGTERM")
      yield* second.exit
      assertClean(second.output(), "the log", [key])
      for (const answer of answers) assertClean(answer, "an answer", [key])
      for (const file of readdirSync(folder)) assertClean(readFileSync(join(folder, file), "utf8"), file, [key])
    })
  )

  it.live("says no secret in its logs, metrics, status and errors, while everything goes wrong", () =>
    Effect.gen(function* () {
      const cloud = yield* nextcloud
      // Its own secret is another one: our hello is refused.
      const hpb = yield* FakeHpb.make({ backends: [`${cloud.url}/`] })
      const [APP_PORT, PORT] = [String(yield* freePort), String(yield* freePort)]
      const parlance = yield* start({
        ...secrets,
        APP_PORT,
        PORT,
        LT_HPB_URL: hpb.url,
        LT_BACKEND_URL: cloud.url,
        NEXTCLOUD_URL: cloud.url,
        MODAL_WORKSPACE: "nobody",
        MODAL_STT_HOST_SUFFIX: "invalid",
        LOG_LEVEL: "debug"
      })
      yield* parlance.says(`:${PORT}"`)
      yield* parlance.says(`:${APP_PORT}"`)
      const app = `http://127.0.0.1:${APP_PORT}`
      const api = `http://127.0.0.1:${PORT}`
      const known = { ...appApiHeaders(secrets.APP_SECRET), "content-type": "application/json" }
      const token = { authorization: `Bearer ${secrets.LT_API_TOKEN}`, "content-type": "application/json" }
      const turnServers = [{ urls: ["turn:127.0.0.1:9"], username: "leak-turn-user", credential: "leak-turn-password" }]
      const post = (headers: Record<string, string>, body: unknown) => ({
        method: "POST",
        headers,
        body: JSON.stringify(body)
      })
      const answers = yield* Effect.all([
        get(`${app}/init`, post(known, {})),
        get(`${app}/api/v1/call/transcribe`, post(known, { roomToken: "room1", ncSessionId: "one" })),
        get(`${api}/api/v1/call/transcribe`, post(token, { roomToken: "room2", turnServers })),
        get(
          `${api}/api/v1/call/transcribe`,
          post(token, { roomToken: "room2", turnServers: [{ ...turnServers[0], credential: ["leak-turn-password"] }] })
        ),
        get(
          `${api}/api/v1/call/transcribe`,
          post({ ...token, authorization: "Bearer leak-guess" }, { roomToken: "room2" })
        ),
        get(`${app}/enabled`, { headers: appApiHeaders("leak-guess") }),
        get(`${app}/api/v1/call/transcribe`, { ...post(known, {}), body: '{"roomToken":"leak-guess' })
      ])
      const status = get(`${api}/api/v1/status`, { headers: token })
      yield* status.pipe(
        Effect.repeat({ until: (text) => text.includes('"Refused"'), schedule: Schedule.spaced("50 millis") })
      )
      answers.push(yield* status, yield* get(`${api}/metrics`, { headers: token }))
      assert.isAbove(cloud.asked(), 0)
      parlance.child.kill("SIGTERM")
      assert.strictEqual((yield* parlance.exit).code, 0)
      const more = ["leak-turn-user", "leak-turn-password", "leak-guess"]
      assertClean(parlance.output(), "the log", more)
      for (const answer of answers) assertClean(answer, "an answer", more)
    })
  )
})

/** Everything an exporter can write of a span. */
const spanText = (span: Tracer.NativeSpan): string =>
  [
    span.name,
    JSON.stringify([...span.attributes]),
    JSON.stringify(span.events.map(([name, , attributes]) => [name, attributes])),
    span.status._tag === "Ended" && span.status.exit._tag === "Failure"
      ? `${Cause.pretty(span.status.exit.cause)} ${JSON.stringify(span.status.exit.cause)}`
      : ""
  ].join(" ")

/** Collects all it is offered, and asks for headers, which are left out unless somebody does. */
const watch = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const logged: Array<string> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const layer = Layer.mergeAll(
    Layer.succeed(Tracer.Tracer, tracer),
    Layer.succeed(HttpMiddleware.TracerHeaderFilter, () => true),
    Logger.layer([Logger.make((line) => logged.push(Logger.formatJson.log(line)))]),
    Layer.succeed(References.MinimumLogLevel, "Trace" as const)
  )
  return { layer, text: () => [...spans.map(spanText), ...logged].join("\n") }
}

/** Every start breaks, which is logged and is the end of a span. */
const broken = Layer.mock(Calls, { start: () => Effect.die(new Error("something broke")), list: Effect.succeed([]) })
describe("a tracer and a log that collect all they are offered", () => {
  const room = { roomToken: "room1", ncSessionId: "session1" }

  it.live("learn no secret from Nextcloud's listener", () =>
    Effect.gen(function* () {
      const watched = watch()
      const headers = appApiHeaders()
      const answers = yield* Effect.all([
        ask("GET", "/capabilities", { headers }),
        ask("POST", "/api/v1/call/transcribe", { headers, body: room }),
        ask("POST", "/api/v1/call/transcribe", { headers, body: {} }),
        ask("GET", "/enabled", { headers: appApiHeaders("leak-guess") }),
        ask("GET", "/nowhere", { headers })
      ]).pipe(Effect.provide(exApp({ calls: broken, watching: watched.layer })))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 500, 400, 401, 404]
      )
      assert.include(watched.text(), "something broke")
      assertClean(watched.text(), "a span or a log line", ["leak-guess"])
    })
  )

  it.live("learn no secret from the service's", () =>
    Effect.gen(function* () {
      const watched = watch()
      const answers = yield* Effect.all([
        ask("GET", "/api/v1/status", { headers: bearer }),
        ask("POST", "/api/v1/call/transcribe", { headers: bearer, body: room }),
        ask("GET", "/openapi.json", { headers: { authorization: "Bearer leak-guess" } }),
        ask("GET", `/api/v1/audio/stream/limits?token=${apiToken}`),
        ask("GET", "/api/v1/audio/stream/limits?token=leak-guess", { headers: { "x-api-key": "leak-guess" } })
      ]).pipe(Effect.provide(service({ calls: broken, watching: watched.layer })))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 500, 401, 200, 401]
      )
      assert.include(watched.text(), "something broke")
      assertClean(watched.text(), "a span or a log line", ["leak-guess"])
    })
  )
})
