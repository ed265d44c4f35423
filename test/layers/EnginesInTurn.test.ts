/** The Transcriber over several engines. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric, type Scope, Stream } from "effect"
import { languagesOf } from "../../src/domain/Language.ts"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { type ConfiguredEngine, Engines } from "../../src/services/Engines.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

type Director = ScriptedEngine.ScriptedEngine["Service"]

interface Table {
  readonly first: Director
  readonly second: Director
  readonly configured: ReadonlyArray<ConfiguredEngine>
}

const built = (name: string, script: ScriptedEngine.Script) =>
  Effect.map(
    Layer.build(ScriptedEngine.layer({ ...script, capabilities: { name, ...script.capabilities } })),
    (context) => ({
      director: Context.get(context, ScriptedEngine.ScriptedEngine),
      configured: EngineHealth.make(Context.get(context, SpeechEngine))
    })
  )

const told = (
  name: string,
  scripts: { readonly first?: ScriptedEngine.Script; readonly second?: ScriptedEngine.Script },
  body: (table: Table) => Effect.Effect<void, unknown, Transcriber | Scope.Scope>
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const first = yield* built("first", scripts.first ?? {})
      const second = yield* built("second", scripts.second ?? {})
      const configured = [first.configured, second.configured]
      const transcriber = EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, configured)))
      yield* Effect.provide(body({ first: first.director, second: second.director, configured }), transcriber)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

const away = new EngineError({ reason: "Unreachable", detail: "no" })
const refused = new EngineError({ reason: "Refused", detail: "no" })

describe("the Transcriber over several engines", () => {
  told("asks the first", {}, ({ first, second }) =>
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5)
      assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 0])
    })
  )

  told("asks the one a voice wants; of a name that nobody has, the first", {}, ({ first, second }) =>
    Effect.gen(function* () {
      const chooses = yield* ScriptedVoice.make({ engine: "second" })
      yield* chooses.speak(5)
      assert.deepStrictEqual([first.attempts(), second.attempts()], [0, 1])
      const dreams = yield* ScriptedVoice.make({ engine: "third" })
      yield* dreams.speak(5)
      assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 1])
    })
  )

  told(
    "asks the first that knows the language, in its own words",
    {
      first: { capabilities: { languages: languagesOf(["de"]) } },
      second: { capabilities: { languages: languagesOf(["en-GB", "en-US"]) } }
    },
    ({ first, second }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make({ engine: "first" })
        yield* voice.speak(5)
        assert.strictEqual(first.attempts(), 0)
        assert.strictEqual((yield* second.session(0)).language, "en-US")
      })
  )

  for (const error of [away, refused])
    told(
      `passes over one that is ${error.reason.toLowerCase()} at once, and every voice after it does too`,
      { first: { opening: () => Effect.fail(error) } },
      ({ configured, first, second }) =>
        Effect.gen(function* () {
          const voice = yield* ScriptedVoice.make()
          yield* voice.speak(1, "goes on")
          assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 1])
          yield* voice.speak(1, "goes on")
          assert.deepStrictEqual((yield* second.session(0)).positions(), voice.spoken())
          const other = yield* ScriptedVoice.make()
          yield* other.speak(1)
          assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 2])
          assert.deepStrictEqual(
            configured.map(({ health }) => health()),
            [
              { state: "Failing", circuit: "Open", reason: error.reason, detail: "no", sessions: 0 },
              { state: "Healthy", circuit: "Closed", sessions: 2 }
            ]
          )
        })
    )

  told(
    "passes over one that has as many sessions as it gives, until it has one less",
    { first: { capabilities: { maxSessions: 1 } } },
    ({ first, second }) =>
      Effect.gen(function* () {
        const one = yield* ScriptedVoice.make()
        yield* one.speak(5)
        const other = yield* ScriptedVoice.make()
        yield* other.speak(5)
        assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 1])
        yield* one.leave
        yield* one.done
        const third = yield* ScriptedVoice.make()
        yield* third.speak(5)
        assert.deepStrictEqual([first.attempts(), second.attempts()], [2, 1])
      })
  )

  told(
    "asks one that is full all the same when there is no other: it may give more than is known",
    { first: { capabilities: { maxSessions: 1 } }, second: { opening: () => Effect.fail(refused) } },
    ({ first, second }) =>
      Effect.gen(function* () {
        const one = yield* ScriptedVoice.make()
        yield* one.speak(5)
        const other = yield* ScriptedVoice.make()
        yield* other.speak(5)
        assert.deepStrictEqual([first.attempts(), second.attempts()], [2, 1])
        assert.deepStrictEqual((yield* first.session(1)).positions(), other.spoken())
      })
  )

  told(
    "of the same role comes back to the first for the next session, when a probe has found it back",
    { first: { opening: (index) => (index === 0 ? Effect.fail(away) : Effect.void) } },
    ({ configured, first, second }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(10)
        yield* voice.silence(25_000)
        yield* voice.speak(10)
        assert.deepStrictEqual([first.attempts(), second.attempts()], [2, 1])
        yield* voice.silence(40_000)
        assert.isTrue((yield* second.session(0)).closed())
        yield* voice.speak(10)
        assert.deepStrictEqual([first.attempts(), second.attempts()], [3, 1])
        assert.deepStrictEqual(
          configured.map(({ health }) => health()),
          [
            { state: "Healthy", circuit: "Closed", sessions: 1 },
            { state: "Healthy", circuit: "Closed", sessions: 0 }
          ]
        )
      })
  )

  told(
    "when all are away waits for whichever may be asked first, and loses nothing",
    {
      first: { opening: () => Effect.fail(refused) },
      second: { opening: (index) => (index < 3 ? Effect.fail(away) : Effect.void) }
    },
    ({ first, second }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(100)
        // the last probe has opened a session too, and closed it again
        assert.deepStrictEqual([first.attempts(), second.attempts()], [1, 5])
        assert.deepStrictEqual((yield* second.session(1)).positions(), voice.spoken())
      })
  )

  told("a session that breaks goes on with the next engine at once", {}, ({ first, second }) =>
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10, "goes on")
      ;(yield* first.session(0)).fail("Closed")
      yield* voice.speak(1, "goes on")
      assert.strictEqual(second.attempts(), 1)
      yield* voice.speak(10, "goes on")
      // which hears again what the first had not proven
      assert.deepStrictEqual((yield* second.session(0)).positions(), voice.spoken())
    })
  )

  told("one that was good for a minute and drops a session is asked again before the next", {}, ({ first, second }) =>
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(760, "goes on")
      ;(yield* first.session(0)).fail("Closed")
      yield* voice.speak(10, "goes on")
      assert.deepStrictEqual([first.attempts(), second.attempts()], [2, 0])
    })
  )

  it.effect("without any engine reads the voice and says nothing", () =>
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make({ queueFrames: 1 })
      yield* voice.speak(100)
      yield* voice.leave
      yield* voice.done
      assert.deepStrictEqual(voice.states, [])
      assert.deepStrictEqual(
        yield* Stream.runCollect((yield* Transcriber).transcribe({ ...voice.voice, frames: Stream.empty })),
        []
      )
    }).pipe(Effect.provide(EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, [])))))
  )
})
