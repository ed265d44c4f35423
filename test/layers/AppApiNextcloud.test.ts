import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Ref } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { RoomToken } from "../../src/domain/Call.ts"
import * as AppApiNextcloud from "../../src/layers/AppApiNextcloud.ts"
import { Nextcloud, NextcloudError } from "../../src/services/Nextcloud.ts"

const room = RoomToken.make("abc123")
const options: AppApiNextcloud.Options = {
  url: "https://cloud.example.com/nc/index.php/",
  appId: "live_transcription",
  appVersion: "1.2.3",
  appSecret: Redacted.make("app-secret"),
  aaVersion: "32",
  skipCertVerify: false
}

interface Asked {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string | undefined>
}
type Answer = { readonly status?: number; readonly body: unknown } | "hang" | "refuse"

/** A Nextcloud that answers as told, and the requests it saw. */
const nextcloud = Effect.fnUntraced(function* (
  respond: (asked: Asked, count: number) => Answer,
  given: Partial<AppApiNextcloud.Options> = {}
) {
  const asked: Array<Asked> = []
  const client = HttpClient.make((request, url) => {
    const one = { method: request.method, url, headers: request.headers }
    asked.push(one)
    const answer = respond(one, asked.length)
    if (answer === "hang") return Effect.never
    if (answer === "refuse") {
      return Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, cause: "app-secret" })
        })
      )
    }
    return Effect.succeed(
      HttpClientResponse.fromWeb(request, Response.json(answer.body, { status: answer.status ?? 200 }))
    )
  })
  const service = yield* Effect.provide(
    Nextcloud,
    AppApiNextcloud.layerNoClient({ ...options, ...given }).pipe(
      Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
    )
  )
  return { service, asked }
})

const ocs = (data: unknown, status = "ok") => ({ body: { ocs: { meta: { status, statuscode: 100 }, data } } })
const turn = (expirySeconds: number) => ({
  urls: ["turn:turn.example.com:3478?transport=udp"],
  username: `${expirySeconds}:random`,
  credential: "turn-password"
})

describe("AppApiNextcloud", () => {
  it.effect("proves itself with AppAPI's headers, as nobody in particular", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => ocs([]))
      yield* service.reportInit(100)
      const [one] = asked
      assert.strictEqual(one?.method, "PUT")
      assert.strictEqual(one?.url.href, "https://cloud.example.com/nc/ocs/v1.php/apps/app_api/ex-app/status")
      assert.strictEqual(one?.headers["ex-app-id"], "live_transcription")
      assert.strictEqual(one?.headers["ex-app-version"], "1.2.3")
      assert.strictEqual(one?.headers["aa-version"], "32")
      assert.strictEqual(one?.headers["ocs-apirequest"], "true")
      assert.strictEqual(Buffer.from(one?.headers["authorization-app-api"] ?? "", "base64").toString(), ":app-secret")
    })
  )

  it.effect("finds the same interface behind every way of writing the address", () =>
    Effect.gen(function* () {
      for (const url of ["http://nc", "http://nc/", "http://nc/index.php", "http://nc/index.php/"]) {
        const { asked, service } = yield* nextcloud(() => ocs(1), { url })
        assert.isTrue(yield* service.enabled)
        assert.strictEqual(asked[0]?.url.href, "http://nc/ocs/v1.php/apps/app_api/ex-app/state?format=json")
      }
    })
  )

  it.effect("reads the state and the address users know", () =>
    Effect.gen(function* () {
      const { service } = yield* nextcloud(({ url }) =>
        url.pathname.endsWith("state") ? ocs(0) : ocs({ absolute_url: "https://cloud.example.com/" })
      )
      assert.isFalse(yield* service.enabled)
      assert.strictEqual(yield* service.absoluteUrl, "https://cloud.example.com")
    })
  )

  it.effect("does not take an address for one that is only what was sent", () =>
    Effect.gen(function* () {
      const { service } = yield* nextcloud(() => ocs({ absolute_url: "/" }))
      assert.strictEqual((yield* Effect.flip(service.absoluteUrl)).reason, "Unreadable")
    })
  )

  it.effect("fails with a reason, never with the secret", () =>
    Effect.gen(function* () {
      const reasonOf = (answer: Answer) =>
        Effect.gen(function* () {
          const { service } = yield* nextcloud(() => answer)
          const fiber = yield* Effect.forkChild(Effect.flip(service.enabled))
          yield* TestClock.adjust("10 seconds")
          const error = yield* Fiber.join(fiber)
          assert.notInclude(String(error) + JSON.stringify(error), "app-secret")
          return error.message
        })
      assert.strictEqual(yield* reasonOf("refuse"), "Unreachable: TransportError")
      assert.strictEqual(yield* reasonOf("hang"), "Unreachable: no answer in time")
      assert.strictEqual(yield* reasonOf({ status: 503, body: {} }), "Status: 503")
      assert.strictEqual(yield* reasonOf(ocs([], "failure")), "Unreadable: not the answer of this interface")
      assert.strictEqual(yield* reasonOf(ocs(1, "failure")), "Status: refused by OCS")
      assert.strictEqual(yield* reasonOf({ body: "<html>" }), "Unreadable: not the answer of this interface")
    })
  )

  it.effect("says when there is no Nextcloud to ask", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => ocs(1), { url: undefined })
      assert.strictEqual((yield* Effect.flip(service.enabled)).reason, "NotConfigured")
      assert.deepStrictEqual(asked, [])
    })
  )

  it.effect("waits minutes for the end of init, which Nextcloud answers last of all", () =>
    Effect.gen(function* () {
      const { service } = yield* nextcloud(() => "hang")
      const done = yield* Ref.make(false)
      yield* service.reportInit(100).pipe(Effect.flip, Effect.andThen(Ref.set(done, true)), Effect.forkChild)
      yield* TestClock.adjust("2 minutes")
      assert.isFalse(yield* Ref.get(done))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* Ref.get(done))
    })
  )
})

describe("ICE servers from Nextcloud", () => {
  it.effect("are what the settings hold, without the empty and the impossible", () =>
    Effect.gen(function* () {
      const { service } = yield* nextcloud(() =>
        ocs({
          server: "wss://hpb",
          stunservers: [{ urls: [] }, { urls: "stun:stun.example.com:443" }],
          turnservers: [turn(999_999), { urls: ["http://evil.example.com"], username: "a", credential: "b" }]
        })
      )
      assert.deepStrictEqual(yield* service.iceServers(room), [
        { urls: ["stun:stun.example.com:443"] },
        {
          urls: ["turn:turn.example.com:3478?transport=udp"],
          username: "999999:random",
          credential: "turn-password"
        }
      ])
    })
  )

  it.effect("are asked for again after an hour", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => ocs({ stunservers: [], turnservers: [turn(1_000_000_000)] }))
      yield* Effect.all([service.iceServers(room), service.iceServers(room)], { concurrency: "unbounded" })
      yield* TestClock.adjust("59 minutes")
      yield* service.iceServers(room)
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("2 minutes")
      yield* service.iceServers(room)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("are asked for again when their credentials end within the hour", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => ocs({ turnservers: [turn(1_000_000_000)] }))
      yield* TestClock.setTime(1_000_000_000_000 - 3_600_000 - 60_000)
      yield* service.iceServers(room)
      yield* TestClock.adjust("2 minutes")
      yield* service.iceServers(room)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("are asked for with the room where Talk wants to know it", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(({ url }) =>
        url.searchParams.get("token") === "abc123"
          ? ocs({ turnservers: [turn(1_000_000_000)] })
          : { status: 403, body: {} }
      )
      assert.strictEqual((yield* service.iceServers(room)).length, 1)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("are none where Nextcloud refuses, without asking for every speaker", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => ({ status: 404, body: {} }))
      assert.deepStrictEqual(yield* service.iceServers(room), [])
      assert.deepStrictEqual(yield* service.iceServers(room), [])
      assert.strictEqual(asked.length, 2)
      yield* TestClock.adjust("61 seconds")
      yield* service.iceServers(room)
      assert.strictEqual(asked.length, 4)
    })
  )

  it.effect("are yesterday's while Nextcloud is away, as long as they are good", () =>
    Effect.gen(function* () {
      const { service } = yield* nextcloud((_, count) =>
        count === 1 ? ocs({ turnservers: [turn(1_000_008_000)] }) : "refuse"
      )
      yield* TestClock.setTime(1_000_000_000_000)
      assert.strictEqual((yield* service.iceServers(room)).length, 1)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* service.iceServers(room)).length, 1)
      yield* TestClock.adjust("20 minutes")
      assert.strictEqual((yield* Effect.flip(service.iceServers(room))).reason, "Unreachable")
    })
  )

  it.effect("do not keep twenty speakers waiting twenty times for an answer that does not come", () =>
    Effect.gen(function* () {
      const { asked, service } = yield* nextcloud(() => "hang")
      const all = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 20 }), () => Effect.flip(service.iceServers(room)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("10 seconds")
      const errors = yield* Fiber.join(all)
      assert.deepStrictEqual(new Set(errors.map(({ reason }) => reason)), new Set(["Unreachable"]))
      assert.strictEqual(asked.length, 1)
    })
  )
})

describe("over a real connection", () => {
  const tls = (name: string) => readFileSync(new URL(`../fixtures/hpb-tls/${name}.pem`, import.meta.url))

  const listening = (server: Server) =>
    Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
        })
      }),
      () => Effect.sync(() => server.close())
    )
  const answer = (_: unknown, response: ServerResponse) =>
    response.setHeader("content-type", "application/json").end(JSON.stringify(ocs(1).body))
  const enabled = (given: Partial<AppApiNextcloud.Options>) =>
    Nextcloud.use((service) => service.enabled).pipe(Effect.provide(AppApiNextcloud.layer({ ...options, ...given })))

  it.live("asks with the headers on the wire and answers with what came", () =>
    Effect.gen(function* () {
      const seen: Array<IncomingMessage["headers"]> = []
      const server = createServer((request, response) => {
        seen.push(request.headers)
        answer(request, response)
      })
      const port = yield* listening(server)
      assert.isTrue(yield* enabled({ url: `http://127.0.0.1:${port}` }))
      assert.strictEqual(seen[0]?.["ex-app-id"], "live_transcription")
      assert.isUndefined(seen[0]?.["traceparent"])
    })
  )

  it.live("takes a certificate that nobody signed only where told to", () =>
    Effect.gen(function* () {
      const port = yield* listening(createTlsServer({ key: tls("key"), cert: tls("cert") }, answer))
      const url = `https://127.0.0.1:${port}`
      assert.strictEqual((yield* Effect.flip(enabled({ url }))).reason, "Unreachable")
      assert.isTrue(yield* enabled({ url, skipCertVerify: true }))
      assert.isUndefined(process.env["NODE_TLS_REJECT_UNAUTHORIZED"])
    })
  )
})

describe("a failure", () => {
  it("is worth another attempt when Nextcloud is away, not when it refuses", () => {
    const retryable = (reason: NextcloudError["reason"], detail: string) =>
      new NextcloudError({ reason, detail }).retryable
    assert.isTrue(retryable("Unreachable", "no answer in time"))
    assert.isTrue(retryable("Status", "503"))
    assert.isTrue(retryable("Status", "429"))
    // Nextcloud counts wrong secrets against our address and slows down everybody on it.
    assert.isFalse(retryable("Status", "401"))
    assert.isFalse(retryable("Status", "refused by OCS"))
    assert.isFalse(retryable("NotConfigured", ""))
    assert.isFalse(retryable("Unreadable", ""))
  })
})
