import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { defaultLanguage, languagesOf } from "../../src/domain/Language.ts"
import * as DoorChoice from "../../src/http/DoorChoice.ts"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"

const engine = (capabilities: NonNullable<ScriptedEngine.Script["capabilities"]>) =>
  Effect.map(Layer.build(ScriptedEngine.layer({ capabilities })), (built) =>
    EngineHealth.make(Context.get(built, SpeechEngine))
  )

const chain = Effect.all([
  engine({ name: "bilingual", languages: languagesOf(["en", "fr"]) }),
  engine({ name: "polyglot", model: "large", languages: languagesOf(["en", "de", "es"]) })
])

/** Engine, model and language. */
const choosing = Effect.map(
  chain,
  (engines) =>
    (asked: { readonly engine?: string; readonly language?: string }): ReadonlyArray<string> =>
      Object.values(DoorChoice.make(engines, defaultLanguage, asked) ?? {})
)

describe("the engine of a streaming session", () => {
  it.effect("German is not heard by an engine without German while another has it", () =>
    Effect.gen(function* () {
      const choose = yield* choosing
      assert.deepStrictEqual(choose({ language: "de-AT" }), ["polyglot", "large", "de"])
      assert.deepStrictEqual(choose({ language: "fr" }), ["bilingual", "bilingual", "fr"])
    })
  )

  it.effect("is the one that is named, by its own name or its model's, whatever its languages are", () =>
    Effect.gen(function* () {
      const choose = yield* choosing
      assert.deepStrictEqual(choose({ engine: "bilingual", language: "de" }), ["bilingual", "bilingual", "en"])
      assert.deepStrictEqual(choose({ engine: "large", language: "fr" }), ["polyglot", "large", "en"])
    })
  )

  it.effect("is the first where nobody knows the name or the language", () =>
    Effect.gen(function* () {
      const choose = yield* choosing
      assert.deepStrictEqual(choose({ engine: "nonsense", language: "tlh" }), ["bilingual", "bilingual", "en"])
      assert.deepStrictEqual(choose({}), ["bilingual", "bilingual", "en"])
      assert.isUndefined(DoorChoice.make([], defaultLanguage))
    })
  )
})
