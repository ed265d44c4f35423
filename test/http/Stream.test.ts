import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import type { Grant } from "../../src/http/Grant.ts"
import { Quotas } from "../../src/http/Quotas.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { type ConfiguredEngine, Engines } from "../../src/services/Engines.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { apiToken, ask, bearer, quotas, service } from "../support/HttpSetup.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const limits = "/api/v1/audio/stream/limits"
const status = "/api/v1/audio/stream/status"

type Setup = Partial<Parameters<typeof service>[0]>

const onService = <A, E>(
  test: (counted: Quotas["Service"]) => Effect.Effect<A, E, HttpClient.HttpClient>,
  setup: Setup = {}
) =>
  Effect.gen(function* () {
    const counted = Context.get(yield* Layer.build(quotas()), Quotas)
    return yield* test(counted).pipe(
      Effect.provide(
        service({ calls: FakeCalls.layer(FakeCalls.make()), quotas: Layer.succeed(Quotas, counted), ...setup })
      )
    )
  })

const withTokens = <A, E>(test: (counted: Quotas["Service"]) => Effect.Effect<A, E, HttpClient.HttpClient>) =>
  Effect.gen(function* () {
    const tokensFile = join(yield* temporaryFolder, "tokens.json")
    const list = [{ name: "alice", token: "alices-token", concurrentStreams: 1, minutesPerDay: 90 }]
    writeFileSync(tokensFile, JSON.stringify(list), { mode: 0o600 })
    return yield* onService(test, { access: { tokensFile } })
  })

const alice: Grant = { subject: "alice", isAdmin: false, concurrentStreams: 1, minutesPerDay: 90 }

describe("what a credential may stream", () => {
  it.live("is told to whoever shows it, wherever clients of the sockets put it", () =>
    withTokens((counted) =>
      Effect.gen(function* () {
        const fresh = {
          user_id: "alice",
          tier: "standard",
          limits: { daily_minutes: 90, concurrent_streams: 1 },
          used_today_minutes: 0,
          remaining_minutes: 90,
          active_streams: 0,
          can_start_stream: true,
          _can_start_stream: true
        }
        for (const [path, headers] of [
          [limits, { authorization: "Bearer alices-token" }],
          [limits, { "x-api-key": "alices-token" }],
          [`${limits}?token=alices-token`, {}]
        ] as const) {
          const answer = yield* ask("GET", path, { headers })
          assert.deepStrictEqual([answer.status, answer.body], [200, fresh])
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { spend } = yield* counted.reserve(alice)
            spend(20 * 60 + 1)
            const { body } = yield* ask("GET", limits, { headers: { "x-api-key": "alices-token" } })
            assert.deepStrictEqual(body, {
              ...fresh,
              used_today_minutes: 20.02,
              remaining_minutes: 69.98,
              active_streams: 1,
              can_start_stream: false,
              _can_start_stream: false
            })
            spend(3600 * 5)
          })
        )
        const { body } = yield* ask("GET", limits, { headers: { "x-api-key": "alices-token" } })
        assert.deepInclude(Object(body), { remaining_minutes: 0, active_streams: 0, can_start_stream: false })
      })
    )
  )

  it.live("has no end for an admin", () =>
    onService(() =>
      Effect.gen(function* () {
        const { body } = yield* ask("GET", limits, { headers: bearer })
        assert.deepInclude(Object(body), {
          tier: "admin",
          limits: { daily_minutes: null, concurrent_streams: 200 },
          remaining_minutes: null
        })
      })
    )
  )

  it.live("is nobody else's business, nor another page's", () =>
    withTokens(() =>
      Effect.gen(function* () {
        for (const path of [limits, status]) {
          for (const headers of [
            {},
            { authorization: "Bearer alice" },
            { "x-api-key": "" },
            { "x-api-key": "alice" }
          ]) {
            const answer = yield* ask("GET", path, { headers })
            assert.deepStrictEqual([answer.status, answer.body], [401, { error: "a valid token is needed" }])
          }
          const headers = { "x-api-key": "alices-token", origin: "https://evil.example.com" }
          assert.strictEqual((yield* ask("GET", path, { headers })).status, 403)
        }
        // A token for streaming opens nothing else.
        const headers = { authorization: "Bearer alices-token" }
        assert.strictEqual((yield* ask("GET", "/api/v1/status", { headers })).status, 401)
        assert.strictEqual((yield* ask("GET", `/api/v1/status?token=${apiToken}`)).status, 401)
      })
    )
  )

  it.live("is asked without anything on a machine of one's own", () =>
    onService(
      () =>
        Effect.gen(function* () {
          const { body } = yield* ask("GET", limits)
          assert.deepInclude(Object(body), { user_id: "owner", limits: { daily_minutes: 7, concurrent_streams: 20 } })
        }),
      { access: { apiToken: undefined, minutesPerDay: 7 } }
    )
  )
})

describe("what streams are made with", () => {
  const scripted = Effect.map(Layer.build(Layer.provide(ConfiguredEngines.single, ScriptedEngine.layer())), (built) =>
    Context.get(built, Engines)
  )

  it.live("is available while an engine works", () =>
    Effect.gen(function* () {
      const engines: ReadonlyArray<ConfiguredEngine> = yield* scripted
      yield* onService(
        () =>
          Effect.gen(function* () {
            const { body } = yield* ask("GET", status, { headers: bearer })
            assert.deepInclude(Object(body), {
              status: "available",
              available_models: engines.map(({ engine: { capabilities } }) => capabilities.model ?? capabilities.name),
              websocket_endpoint: "/api/v1/audio/stream/transcribe"
            })
            for (const one of engines) one.failed(new EngineError({ reason: "Refused", detail: "wrong key" }))
            const after = yield* ask("GET", status, { headers: bearer })
            assert.deepInclude(Object(after.body), { status: "unavailable" })
          }),
        { engines }
      )
    })
  )

  it.live("is not where none is configured", () =>
    onService(() =>
      Effect.gen(function* () {
        const { body } = yield* ask("GET", status, { headers: bearer })
        assert.deepInclude(Object(body), { status: "unavailable", available_models: [] })
      })
    )
  )
})
