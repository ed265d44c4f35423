import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient } from "effect/http"
import { Everyone, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { apiToken, appApiHeaders, ask, bearer, type Given, service } from "../support/HttpSetup.ts"

const path = "/api/v1/call/transcribe"
const basic = { authorization: `Basic ${Buffer.from(`anybody:${apiToken}`).toString("base64")}` }
const guarded = [
  ["GET", "/api/v1/languages"],
  ["GET", "/api/v1/status"],
  ["POST", path],
  ["DELETE", `${path}/room1`],
  ["GET", "/metrics"],
  ["GET", "/docs"],
  ["GET", "/openapi.json"]
] as const

const onService = <A, E>(
  test: (calls: FakeCalls.FakeCalls) => Effect.Effect<A, E, HttpClient.HttpClient>,
  given: Given = {},
  access: Parameters<typeof service>[0]["access"] = {}
) =>
  Effect.suspend(() => {
    const calls = FakeCalls.make()
    return test(calls).pipe(Effect.provide(service({ calls: FakeCalls.layer(calls), given, access })))
  })

describe("the service API", () => {
  it.live("captions a call for everybody in it", () =>
    onService((calls) =>
      Effect.gen(function* () {
        const turnServers = [{ urls: ["turn:turn.example.com:3478"], username: "user", credential: "pass" }]
        const body = { roomToken: "room1", languageId: "fr", turnServers }
        const first = yield* ask("POST", path, { headers: bearer, body })
        assert.deepStrictEqual(
          [first.status, first.body],
          [200, { status: "started", roomToken: "room1", message: "transcription started" }]
        )
        assert.deepStrictEqual(calls.started, [
          { room: RoomToken.make("room1"), viewer: Everyone, language: LanguageId.make("fr"), iceServers: turnServers }
        ])
        const again = yield* ask("POST", path, { headers: bearer, body: { roomToken: "room1" } })
        assert.deepInclude(again.body, { status: "started", message: "transcription was already running" })
        assert.strictEqual(calls.started[1]?.iceServers, undefined)
        assert.strictEqual(calls.started[1]?.language, "en")

        const stop = yield* ask("DELETE", `${path}/room1`, { headers: bearer })
        assert.deepStrictEqual(
          [stop.status, stop.body],
          [200, { status: "stopped", roomToken: "room1", message: "transcription stopped" }]
        )
        const nothing = yield* ask("DELETE", `${path}/room1`, { headers: bearer })
        assert.deepStrictEqual(
          [nothing.status, nothing.body],
          [404, { error: "there is no transcription in this room" }]
        )
      })
    )
  )

  it.live("takes only servers that are STUN or TURN, and only languages it knows", () =>
    onService((calls) =>
      Effect.gen(function* () {
        for (const [body, field] of [
          [{ roomToken: "room1", turnServers: [{ urls: ["http://10.0.0.1/admin"] }] }, "turnServers.0.urls.0"],
          [{ roomToken: "room1", turnServers: [{ urls: ["turn:a", "file:///etc/passwd"] }] }, "turnServers.0.urls.1"],
          [{ roomToken: "room1", turnServers: [{ urls: ["turn:a"], credential: 7 }] }, "turnServers.0.credential"],
          [
            { roomToken: "room1", turnServers: Array.from({ length: 17 }, () => ({ urls: ["turn:a"] })) },
            "turnServers"
          ],
          [{ roomToken: "room 1" }, "roomToken"],
          [{ languageId: "en" }, "roomToken"],
          [{ roomToken: "room1", languageId: "tlh" }, "languageId"]
        ] as const) {
          const answer = yield* ask("POST", path, { headers: bearer, body })
          assert.strictEqual(answer.status, 400, field)
          assert.match(JSON.stringify(answer.body), new RegExp(`^\\{"error":"${field}: `))
        }
        assert.strictEqual((yield* ask("DELETE", `${path}/..%2fx`, { headers: bearer })).status, 400)
        assert.deepStrictEqual(calls.started, [])
        for (const url of ["stun:a", "turn:a?transport=udp", "turns:a:443"]) {
          const body = { roomToken: "room1", turnServers: [{ urls: [url] }] }
          assert.strictEqual((yield* ask("POST", path, { headers: bearer, body })).status, 200)
        }
      })
    )
  )

  it.live("is open to nobody without the token, health excepted", () =>
    onService((calls) =>
      Effect.gen(function* () {
        for (const [method, route] of guarded) {
          for (const headers of [
            {},
            { authorization: "Bearer " },
            { authorization: "Bearer wrong" },
            { authorization: apiToken },
            { authorization: "Basic OnRva2Vu" },
            appApiHeaders()
          ]) {
            const answer = yield* ask(method, route, { headers })
            assert.strictEqual(answer.status, 401, `${method} ${route} ${JSON.stringify(headers)}`)
            assert.include(answer.headers["www-authenticate"], "Bearer")
            assert.match(JSON.stringify(answer.body), /^\{"error":"the token of LT_API_TOKEN is needed/)
          }
        }
        for (const route of ["/heartbeat", "/health", "/healthz"]) {
          assert.strictEqual((yield* ask("GET", route)).status, 200)
        }
        assert.deepStrictEqual([calls.started, calls.ended], [[], []])
      })
    )
  )

  it.live("takes the token as a browser's password too, but not for another page", () =>
    onService(() =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ask("GET", "/api/v1/status", { headers: basic })).status, 200)
        assert.strictEqual((yield* HttpClient.get("/docs", { headers: basic })).status, 200)
        for (const [method, route] of guarded) {
          const headers = { ...basic, origin: "https://evil.example.com" }
          assert.strictEqual((yield* ask(method, route, { headers })).status, 403, route)
        }
      })
    )
  )

  it.live("asks for nothing on a machine of one's own, and is not reached through a web page", () =>
    onService(
      (calls) =>
        Effect.gen(function* () {
          const body = { roomToken: "room1" }
          assert.strictEqual((yield* ask("POST", path, { body })).status, 200)
          assert.strictEqual((yield* ask("GET", "/api/v1/status")).status, 200)
          assert.strictEqual((yield* HttpClient.get("/metrics")).status, 200)
          // A page sends its origin; one that points its own name at 127.0.0.1 sends that name as host.
          // A proxy on this machine asks for somebody else.
          for (const headers of [
            { origin: "https://evil.example.com" },
            { origin: "null" },
            { forwarded: "for=203.0.113.7" },
            { "x-forwarded-for": "203.0.113.7" },
            { "x-real-ip": "203.0.113.7" },
            { via: "1.1 proxy" }
          ]) {
            assert.strictEqual((yield* ask("POST", path, { headers, body })).status, 403)
          }
          assert.strictEqual(calls.started.length, 1)
        }),
      {},
      { apiToken: undefined }
    )
  )

  it.live("says what is missing instead of starting what cannot work", () =>
    onService(
      (calls) =>
        Effect.gen(function* () {
          const { body, status } = yield* ask("POST", path, { headers: bearer, body: { roomToken: "room1" } })
          assert.deepStrictEqual(
            [status, body],
            [503, { error: "not configured: A is not set (First.); B is not set (Second.)" }]
          )
          assert.deepStrictEqual(calls.started, [])
        }),
      {
        missing: [
          { name: "A", description: "First." },
          { name: "B", description: "Second." }
        ]
      }
    )
  )

  it.live("answers JSON for whatever goes wrong", () =>
    onService(() =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ask("GET", "/nowhere", { headers: bearer })).status, 404)
        for (const route of ["/init", "/enabled", "/capabilities", "/api/v1/call/leave"]) {
          assert.strictEqual((yield* ask("POST", route, { headers: bearer })).status, 404, route)
        }
        for (const [method, route, allow] of [
          ["PUT", path, "POST"],
          ["GET", `${path}/room1`, "DELETE"],
          ["POST", "/metrics", "GET"],
          ["DELETE", "/docs", "GET"],
          ["POST", "/health", "GET"]
        ] as const) {
          const answer = yield* ask(method, route, { headers: bearer })
          assert.deepStrictEqual([answer.status, answer.headers["allow"]], [405, allow], route)
        }
        const large = { roomToken: "room1", more: "x".repeat(66_000) }
        assert.strictEqual((yield* ask("POST", path, { headers: bearer, body: large })).status, 413)
      })
    )
  )
})

describe("metrics", () => {
  it.live("have the gauges under their names from the first scrape on", () =>
    onService(() =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/metrics", { headers: bearer })
        assert.include(response.headers["content-type"], "text/plain")
        const text = yield* response.text
        assert.match(text, /^transcription_rooms_active 0$/m)
        assert.match(text, /^transcription_speakers_active 0$/m)
        assert.match(text, /^# TYPE transcription_rooms_active gauge$/m)
        for (const line of text.trimEnd().split("\n")) assert.match(line, /^(# (HELP|TYPE) )?transcription_/)
      })
    )
  )
})

describe("the documentation", () => {
  it.live("describes every route of the service, its errors and its proof of identity", () =>
    onService(() =>
      Effect.gen(function* () {
        const { body } = yield* ask("GET", "/openapi.json", { headers: bearer })
        const { components, info, paths } = Object(body)
        assert.strictEqual(info.title, "Parlance")
        assert.sameMembers(Object.keys(paths), [
          "/heartbeat",
          "/health",
          "/healthz",
          path,
          `${path}/{roomToken}`,
          "/api/v1/languages",
          "/api/v1/status",
          "/api/v1/calls/{roomToken}/captions",
          "/api/v1/audio/stream/limits",
          "/api/v1/audio/stream/status",
          "/api/v1/engines"
        ])
        assert.sameMembers(Object.keys(components.securitySchemes), ["token", "password", "apiKey", "query"])
        assert.includeMembers(Object.keys(paths[path].post.responses), ["200", "400", "401", "503"])
      })
    )
  )

  it.live("is a page that loads nothing from elsewhere", () =>
    onService(() =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/docs", { headers: bearer })
        assert.include(response.headers["content-type"], "text/html")
        const page = yield* response.text
        assert.include(page, "Parlance")
        assert.notMatch(page, /<script[^>]+src=|<link[^>]+href=/)
      })
    )
  )
})
