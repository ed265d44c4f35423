/** Short-lived credentials for the OpenAI-compatible door, asked for with OpenAI's own SDK and without. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Redacted, Schema } from "effect"
import OpenAI from "openai"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { ask, bearer, service } from "../support/HttpSetup.ts"

const TOKEN = "t0ken"
const settings = { apiToken: Redacted.make(TOKEN) }
const address = "/v1/realtime?intent=transcription"

const Refusal = Schema.Struct({
  error: Schema.Struct({ code: Schema.String, type: Schema.String, param: Schema.NullOr(Schema.String) })
})

const post = (port: number, token: string, body: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/realtime/client_secrets`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body
    })
    const answer: unknown = await response.json()
    return { status: response.status, answer, cache: response.headers.get("cache-control") }
  })
const refusal = ({ answer }: { readonly answer: unknown }) => Schema.decodeUnknownEffect(Refusal)(answer)

describe("POST /v1/realtime/client_secrets", () => {
  it.live("gives whoever may stream a credential that opens sessions and makes no others", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const openai = new OpenAI({ apiKey: TOKEN, baseURL: `http://127.0.0.1:${doors.port}/v1`, maxRetries: 0 })
      const before = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const secret = yield* Effect.promise(() =>
        openai.realtime.clientSecrets.create({
          expires_after: { anchor: "created_at", seconds: 60 },
          session: { type: "transcription", audio: { input: { transcription: { language: "en" } } } }
        })
      )
      assert.match(secret.value, /^ek_[\w.-]+$/)
      assert.isAtLeast(secret.expires_at, before + 60)
      assert.isAtMost(secret.expires_at, before + 90)
      assert.deepInclude(secret.session, { type: "transcription", object: "realtime.transcription_session" })
      for (let i = 0; i < 2; i++) {
        const browser = yield* doors.connect(address, {
          protocols: ["realtime", `openai-insecure-api-key.${secret.value}`]
        })
        yield* browser.said((message) => message["type"] === "session.created")
      }
      const again = yield* post(doors.port, secret.value, "{}")
      assert.strictEqual(again.status, 403)
    })
  )

  it.live("lasts ten minutes where nothing else is asked for, and is kept by no cache", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const { answer, cache, status } = yield* post(doors.port, TOKEN, "")
      const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      assert.strictEqual(status, 200)
      assert.strictEqual(cache, "no-store")
      const { expires_at } = yield* Schema.decodeUnknownEffect(Schema.Struct({ expires_at: Schema.Int }))(answer)
      assert.isAtMost(expires_at, now + 600)
      assert.isAtLeast(expires_at, now + 570)
    })
  )

  it.live("is there on the service listener", () =>
    Effect.gen(function* () {
      const minted = yield* ask("POST", "/v1/realtime/client_secrets", { body: {}, headers: bearer })
      assert.strictEqual(minted.status, 200)
      const stranger = yield* ask("POST", "/v1/realtime/client_secrets", { body: {} })
      assert.strictEqual(stranger.status, 401)
    }).pipe(Effect.provide(service({ calls: FakeCalls.layer(FakeCalls.make()) })))
  )

  for (const [what, token, body, status, code] of [
    ["a wrong token", "wrong", "{}", 401, "invalid_api_key"],
    ["text that is not JSON", TOKEN, "hello", 400, "invalid_json"],
    ["a conversation", TOKEN, '{"session":{"type":"realtime"}}', 400, "invalid_value"],
    ["a day", TOKEN, '{"expires_after":{"anchor":"created_at","seconds":86400}}', 400, "invalid_value"],
    ["a field nobody knows", TOKEN, '{"scope":"all"}', 400, "unknown_parameter"]
  ] as const)
    it.live(`refuses ${what} in OpenAI's words`, () =>
      Effect.gen(function* () {
        const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
        const response = yield* post(doors.port, token, body)
        assert.strictEqual(response.status, status)
        assert.strictEqual((yield* refusal(response)).error.code, code)
      })
    )
})
