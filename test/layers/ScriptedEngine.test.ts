import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"

const frame = (index: number) => ({
  position: index * FRAME_SAMPLES,
  pcm: new Float32Array(FRAME_SAMPLES),
  heardAtMs: 0,
  endsSpeech: false
})
const open = SpeechEngine.use((engine) => engine.open({ language: defaultLanguage }))

describe("ScriptedEngine", () => {
  it.effect("says its words by the frames it hears, and ends as told after all was read", () =>
    Effect.gen(function* () {
      const control = yield* ScriptedEngine.ScriptedEngine
      const session = yield* open
      for (let index = 0; index < 9; index++) session.send(frame(index))
      const inside = yield* control.session(0)
      inside.fail("Closed")
      const heard: Array<string> = []
      const error = yield* session.events.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event._tag === "Appended") heard.push(...event.words.map((word) => word.text))
          })
        ),
        Effect.flip
      )
      assert.deepStrictEqual(heard, ["one", "two", "one"])
      assert.strictEqual(error.reason, "Closed")
      assert.deepStrictEqual(
        inside.positions(),
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) => index * FRAME_SAMPLES)
      )
    }).pipe(Effect.provide(ScriptedEngine.layer(ScriptedEngine.sayEvery(3, ["one", "two"]))))
  )

  it.effect("opens late, refuses and flushes by its script, and proves what was flushed", () =>
    Effect.gen(function* () {
      const control = yield* ScriptedEngine.ScriptedEngine
      assert.strictEqual((yield* Effect.flip(open)).reason, "Busy")
      const opening = yield* Effect.forkScoped(open)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual([control.attempts(), control.sessions().length], [2, 0])
      yield* TestClock.adjust("1 second")
      const session = yield* Fiber.join(opening)
      session.send(frame(0))
      const flushing = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      session.send(frame(1))
      assert.strictEqual(session.mark(), 0)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(flushing)
      assert.strictEqual(session.mark(), FRAME_SAMPLES)
    }).pipe(
      Effect.provide(
        ScriptedEngine.layer({
          opening: (index) =>
            index === 0 ? Effect.fail(new EngineError({ reason: "Busy", detail: "full" })) : Effect.sleep("1 minute"),
          flushing: () => Effect.sleep("1 second")
        })
      )
    )
  )

  it.effect("knows when a session was closed", () =>
    Effect.gen(function* () {
      const control = yield* ScriptedEngine.ScriptedEngine
      yield* Effect.scoped(open)
      assert.isTrue((yield* control.session(0)).closed())
    }).pipe(Effect.provide(ScriptedEngine.layer()))
  )
})
