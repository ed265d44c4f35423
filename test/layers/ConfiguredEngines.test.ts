import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { LanguageId, languagesOf } from "../../src/domain/Language.ts"
import * as AppConfig from "../../src/layers/AppConfig.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { Engines, languagesKnown } from "../../src/services/Engines.ts"

const enginesOf = (environment: Record<string, string>) =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load.pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))
    )
    return Context.get(yield* Layer.build(ConfiguredEngines.layer(config)), Engines)
  })
const names = (engines: Engines["Service"]) => engines.map(({ engine }) => engine.capabilities.name)

const every = {
  STT_STREAM_URL: "ws://127.0.0.1:1/v1/stream",
  LT_VOSK_SERVER_URL: "ws://127.0.0.1:1",
  OPENAI_API_KEY: "sk-1"
}

describe("the engines of a configuration", () => {
  it.effect("are none, which is no error, where none is configured", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(names(yield* enginesOf({})), [])
    })
  )

  it.effect("are the first that is configured where nothing was chosen", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(names(yield* enginesOf(every)), ["modal"])
      assert.deepStrictEqual(names(yield* enginesOf({ ...every, STT_STREAM_URL: "" })), ["openai"])
    })
  )

  it.effect("are those of LT_ENGINE in its order, untried", () =>
    Effect.gen(function* () {
      const engines = yield* enginesOf({ ...every, LT_ENGINE: "vosk, modal" })
      assert.deepStrictEqual(names(engines), ["vosk", "modal"])
      assert.deepStrictEqual(engines[0]?.health(), { state: "Untried", circuit: "Closed", sessions: 0 })
    })
  )

  it.effect("are tried by their roles, whatever their order", () =>
    Effect.gen(function* () {
      const engines = yield* enginesOf({ ...every, LT_ENGINE: "vosk:last,modal,openai:primary" })
      assert.deepStrictEqual(names(engines), ["openai", "modal", "vosk"])
      assert.deepStrictEqual(
        engines.map(({ role }) => role),
        ["Primary", "Cover", "LastResort"]
      )
    })
  )

  it.effect("are only those on this machine where LT_PRIVACY is local-only, be it none", () =>
    Effect.gen(function* () {
      const environment = { ...every, LT_PRIVACY: "local-only" }
      assert.deepStrictEqual(names(yield* enginesOf({ ...environment, LT_ENGINE: "openai,vosk" })), ["vosk"])
      assert.deepStrictEqual(names(yield* enginesOf({ ...environment, LT_ENGINE: "openai" })), [])
      assert.deepStrictEqual(names(yield* enginesOf({ ...environment, STT_STREAM_URL: "ws://stt.example.com" })), [
        "vosk"
      ])
      const away = { ...environment, LT_VOSK_SERVER_URL: "ws://vosk.example.com:2700" }
      assert.deepStrictEqual(names(yield* enginesOf({ ...away, LT_ENGINE: "vosk" })), [])
    })
  )

  it.effect("know together what each of them knows, the first one's languages first", () =>
    Effect.gen(function* () {
      const built = (languages: ReadonlyArray<string>) =>
        Layer.build(
          ConfiguredEngines.single.pipe(
            Layer.provide(ScriptedEngine.layer({ capabilities: { languages: languagesOf(languages) } }))
          )
        )
      const engines = [
        ...Context.get(yield* built(["de", "fr"]), Engines),
        ...Context.get(yield* built(["en", "fr", "ja"]), Engines)
      ]
      assert.deepStrictEqual(Object.keys(languagesKnown(engines)), ["de", "fr", "en", "ja"])
      assert.deepStrictEqual(ConfiguredEngines.languagesOf(engines), languagesKnown(engines))
      assert.deepStrictEqual(Object.keys(ConfiguredEngines.languagesOf([])), ["en", "fr"])
    })
  )
})

describe("LT_DEFAULT_LANGUAGE", () => {
  const defaultOf = (languages: ReadonlyArray<string>, asked?: string): Effect.Effect<string, unknown> =>
    ConfiguredEngines.defaultLanguageOf(
      languagesOf(languages),
      asked === undefined ? undefined : LanguageId.make(asked)
    )

  it.effect("is one the engines know, or the process says so in one line", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* defaultOf(["fr", "ja"], "ja"), "ja")
      assert.strictEqual(yield* defaultOf(["fr", "pt-BR"], "pt"), "pt-BR")
      const error = yield* Effect.flip(defaultOf(["fr", "ja"], "tlh"))
      assert.include(String(error), "LT_DEFAULT_LANGUAGE must be one of those the engines know: fr, ja")
    })
  )

  it.effect("left out is English, or what the first engine knows first", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* defaultOf(["fr", "en"]), "en")
      assert.strictEqual(yield* defaultOf(["fr", "en-US"]), "en-US")
      assert.strictEqual(yield* defaultOf(["fr", "ja"]), "fr")
    })
  )
})
