import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import type { EngineRole } from "../../src/services/Engines.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { ask, bearer, service } from "../support/HttpSetup.ts"

const engine = (capabilities: NonNullable<ScriptedEngine.Script["capabilities"]>, role?: EngineRole) =>
  Effect.map(Layer.build(ScriptedEngine.layer({ capabilities })), (built) =>
    EngineHealth.make(Context.get(built, SpeechEngine), role)
  )

describe("GET /api/v1/engines", () => {
  it.live("lists engines in the order in which they are tried, and how they do", () =>
    Effect.gen(function* () {
      const first = yield* engine({ name: "first", model: "large", local: false, maxSessionMs: 1_800_000 })
      const second = yield* engine({ name: "second" }, "Cover")
      const asked = ask("GET", "/api/v1/engines", { headers: bearer }).pipe(
        Effect.provide(service({ calls: FakeCalls.layer(FakeCalls.make()), engines: [first, second] }))
      )
      const common = {
        partials: "append",
        endOfTurn: "none",
        mark: "KnownDelay",
        wordTimes: false,
        confidence: false,
        punctuation: true,
        sampleRate: 24_000,
        keepAlive: "None",
        fasterThanRealtime: true
      }
      const firstEntry = {
        name: "first",
        model: "large",
        role: "primary",
        state: "untried",
        circuit: "closed",
        sessions: 0,
        local: false,
        capabilities: { ...common, maxSessionMs: 1_800_000 },
        languages: ["en", "fr"]
      }
      const secondEntry = {
        name: "second",
        role: "cover",
        state: "untried",
        circuit: "closed",
        sessions: 0,
        local: true,
        capabilities: common,
        languages: ["en", "fr"]
      }
      assert.deepStrictEqual((yield* asked).body, [firstEntry, secondEntry])
      first.failed(new EngineError({ reason: "Busy", detail: "no free channels" }))
      first.turned("Open")
      second.opened()
      second.opened()
      second.closed()
      assert.deepStrictEqual((yield* asked).body, [
        { ...firstEntry, state: "failing", circuit: "open", reason: "Busy", detail: "no free channels" },
        { ...secondEntry, state: "healthy", sessions: 1 }
      ])
      first.turned("HalfOpen")
      assert.deepInclude((yield* asked).body, {
        ...firstEntry,
        state: "failing",
        circuit: "half-open",
        reason: "Busy",
        detail: "no free channels"
      })
      first.turned("Closed")
      first.opened()
      assert.deepInclude((yield* asked).body, { ...firstEntry, state: "healthy", sessions: 1 })
    })
  )

  it.live("is for those who have the token", () =>
    Effect.gen(function* () {
      const answer = yield* ask("GET", "/api/v1/engines").pipe(
        Effect.provide(service({ calls: FakeCalls.layer(FakeCalls.make()) }))
      )
      assert.strictEqual(answer.status, 401)
    })
  )
})
