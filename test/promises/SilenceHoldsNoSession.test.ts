/** Promise 5: silence sends no audio, gives no text, and holds no engine session longer than 60 s. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

const withEngine = (script: ScriptedEngine.Script) =>
  Effect.provide(
    EngineTranscriber.layer.pipe(
      Layer.provide(ConfiguredEngines.single),
      Layer.provideMerge(ScriptedEngine.layer(script))
    )
  )

describe("promise 5: silence holds no session", () => {
  for (const [name, script, ends] of [
    ["after a flush", { flushing: () => Effect.sleep("700 millis") }, "ends"],
    ["when speech stopped without an end", { flushing: () => Effect.sleep("3 seconds") }, "goes on"],
    ["when the engine took three minutes to start", { opening: () => Effect.sleep("3 minutes") }, "ends"]
  ] as const)
    it.effect(`the session is closed within 60 s ${name}`, () =>
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(25, ends)
        yield* TestClock.adjust("3 minutes")
        const session = yield* engine.session(0)
        yield* TestClock.adjust("10 seconds")
        const heard = session.heard()
        yield* voice.silence(50_000)
        assert.isTrue(session.closed())
        assert.strictEqual(session.heard(), heard)
        yield* voice.silence(3_600_000)
        assert.strictEqual(engine.attempts(), 1)
        assert.deepStrictEqual(voice.states, [])
      }).pipe(withEngine(script))
    )

  it.effect("an engine that never completes a flush is asked three times, then when somebody speaks again", () =>
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(25)
      yield* voice.silence(3_600_000)
      const asked = () => engine.sessions().filter((session) => session.heard() > 0).length
      assert.strictEqual(asked(), 3)
      assert.isTrue(engine.sessions().every((session) => session.closed()))
      yield* voice.speak(1)
      yield* voice.silence(3_600_000)
      assert.strictEqual(asked(), 4)
      assert.deepStrictEqual(voice.states, [])
    }).pipe(withEngine({ flushing: () => Effect.never }))
  )

  it.effect("the session stays through the pauses of a conversation", () =>
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      for (let turn = 0; turn < 10; turn++) {
        yield* voice.speak(10)
        yield* voice.silence(25_000)
      }
      assert.strictEqual(engine.attempts(), 1)
      yield* voice.silence(35_000)
      assert.isTrue((yield* engine.session(0)).closed())
    }).pipe(withEngine({}))
  )

  it.effect("the next word after a long silence opens a session and is heard from its beginning", () =>
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      yield* voice.silence(120_000)
      yield* voice.speak(10)
      const second = yield* engine.session(1)
      assert.deepStrictEqual(second.positions(), voice.spoken().slice(10))
    }).pipe(withEngine({ opening: () => Effect.sleep("300 millis") }))
  )

  it.effect("when the reader goes, the session is closed at once", () =>
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      yield* Effect.scoped(
        Effect.gen(function* () {
          const voice = yield* ScriptedVoice.make()
          yield* voice.speak(10, "goes on")
          assert.isFalse((yield* engine.session(0)).closed())
        })
      )
      assert.isTrue((yield* engine.session(0)).closed())
    }).pipe(withEngine({}))
  )
})
