/**
 * Secrets never reach a log, a span, a metric or an error message; nor do the words that were said (Captions and engines under the
 * loudest log level).
 */
import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, References, Schedule, Tracer } from "effect"
import { HttpMiddleware } from "effect/http"
import { Calls } from "../../src/services/Calls.ts"
import * as FakeHpb from "../support/FakeHpb.ts"
import { apiToken, appApiHeaders, appSecret, ask, bearer, exApp, service } from "../support/HttpSetup.ts"
import { freePort, start } from "../support/ServiceProcess.ts"

const secrets = {
  LT_INTERNAL_SECRET: "leak-internal",
  MODAL_KEY: "leak-modal-key",
  MODAL_SECRET: "leak-modal-secret",
  LT_API_TOKEN: "leak-api-token",
  APP_SECRET: "leak-app-secret",
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

describe("the whole process, as talkative as it can be", () => {
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
        ask("GET", "/openapi.json", { headers: { authorization: "Bearer leak-guess" } })
      ]).pipe(Effect.provide(service({ calls: broken, watching: watched.layer })))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 500, 401]
      )
      assert.include(watched.text(), "something broke")
      assertClean(watched.text(), "a span or a log line", ["leak-guess"])
    })
  )
})
