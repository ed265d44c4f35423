import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import * as FakeCalls from "../support/FakeCalls.ts"
import { ask, bearer, service } from "../support/HttpSetup.ts"

const page = "https://app.example.com"
const other = "https://evil.example.com"

const onService = <A, E>(
  allowedOrigins: ReadonlyArray<string> | undefined,
  test: Effect.Effect<A, E, HttpClient.HttpClient>
) => Effect.provide(test, service({ calls: FakeCalls.layer(FakeCalls.make()), access: { allowedOrigins } }))

/** What a browser asks before it sends a page's request with a token. */
const preflight = (origin: string, path = "/api/v1/status") =>
  HttpClient.execute(
    HttpClientRequest.make("OPTIONS")(path, {
      headers: {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization"
      }
    })
  )

const corsHeaders = (headers: Readonly<Record<string, string | undefined>>) =>
  Object.keys(headers).filter((name) => name.startsWith("access-control-"))

describe("pages of other origins", () => {
  for (const allowedOrigins of [[page], [page, "https://second.example.com"]]) {
    it.live(`of ${allowedOrigins.length} that are allowed may ask, and read the answer, also a refusal`, () =>
      onService(
        allowedOrigins,
        Effect.gen(function* () {
          for (const path of ["/api/v1/status", "/api/v1/audio/stream/limits", "/api/v1/call/transcribe"]) {
            const { headers, status } = yield* preflight(page, path)
            assert.strictEqual(status, 204)
            assert.strictEqual(headers["access-control-allow-origin"], page)
            assert.match(headers["access-control-allow-headers"] ?? "", /\bauthorization\b/)
            assert.match(headers["access-control-allow-methods"] ?? "", /\bDELETE\b/)
          }
          for (const [headers, status] of [
            [bearer, 200],
            [{}, 401]
          ] as const) {
            const answer = yield* ask("GET", "/api/v1/status", { headers: { ...headers, origin: page } })
            assert.strictEqual(answer.status, status)
            assert.strictEqual(answer.headers["access-control-allow-origin"], page)
            assert.match(answer.headers["vary"] ?? "", /origin/i)
            assert.isUndefined(answer.headers["access-control-allow-credentials"])
          }
        })
      )
    )
  }

  it.live("that are not allowed may not, and are not told that others may", () =>
    onService(
      [page],
      Effect.gen(function* () {
        for (const origin of [other, "null", "https://app.example.com.evil.example.com", "http://app.example.com"]) {
          const { headers } = yield* preflight(origin)
          assert.isUndefined(headers["access-control-allow-origin"])
          const answer = yield* ask("GET", "/api/v1/status", { headers: { ...bearer, origin } })
          assert.strictEqual(answer.status, 403)
          assert.isUndefined(answer.headers["access-control-allow-origin"])
        }
      })
    )
  )

  it.live("are not spoken of where none is allowed", () =>
    onService(
      undefined,
      Effect.gen(function* () {
        assert.strictEqual((yield* preflight(page)).status, 405)
        assert.deepStrictEqual(corsHeaders((yield* preflight(page)).headers), [])
        for (const headers of [bearer, { ...bearer, origin: page }]) {
          assert.deepStrictEqual(corsHeaders((yield* ask("GET", "/api/v1/status", { headers })).headers), [])
        }
      })
    )
  )
})
