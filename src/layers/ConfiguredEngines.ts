/**
 * ConfiguredEngines: the engines of a configuration, in the order in which they are tried. One line of the table per engine; what it needs is
 * in `AppConfig` (`engineNeeds`).
 */
import { Context, Effect, Layer } from "effect"
import { defaultLanguage, known, kyutaiLanguages, type LanguageId, type Languages } from "../domain/Language.ts"
import { type ConfiguredEngine, Engines, languagesKnown } from "../services/Engines.ts"
import { SpeechEngine } from "../services/SpeechEngine.ts"
import { type AppConfig, missingFor, storageOf } from "./AppConfig.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import * as EngineHealth from "./EngineHealth.ts"
import * as EnginePrivacy from "./EnginePrivacy.ts"
import { roleRanks } from "./EngineRoster.ts"
import * as ModalEngine from "./ModalEngine.ts"
import * as MoshiEngine from "./MoshiEngine.ts"
import * as OpenAiEngine from "./OpenAiEngine.ts"
import { type EngineName, engineNames, type NamedEngine } from "./SettingKinds.ts"
import * as SherpaEngine from "./SherpaEngine.ts"
import * as SocketModalClient from "./SocketModalClient.ts"
import * as TldwEngine from "./TldwEngine.ts"
import * as VoskEngine from "./VoskEngine.ts"

/** An engine made from a configuration in which nothing it needs is missing; what is wrong besides is one line for the admin. */
type Made = Layer.Layer<SpeechEngine, ConfigurationError>

/** An engine that is not here yet cannot be named by `LT_ENGINE`. Those that load large libraries are `imported` only when configured. */
const table: Readonly<Partial<Record<EngineName, (config: AppConfig) => Made>>> = {
  modal: (config) => ModalEngine.layer.pipe(Layer.provide(modalSocket(config))),
  moshi: ({ moshiKey, moshiUrl = "", skipCertVerify }) =>
    MoshiEngine.layer({ url: moshiUrl, key: moshiKey, skipCertVerify }),
  tldw: ({ skipCertVerify, tldwAudio, tldwKey, tldwModel, tldwUrl = "", tldwVariant }) =>
    TldwEngine.layer({
      url: tldwUrl,
      key: tldwKey,
      model: tldwModel,
      variant: tldwVariant,
      audio: tldwAudio,
      skipCertVerify
    }),
  vosk: ({ skipCertVerify, voskUrl = "" }) => VoskEngine.layer({ url: voskUrl, skipCertVerify }),
  aws: ({ awsEndpoint, awsLanguage, awsRegion = "", awsVocabulary, skipCertVerify }) =>
    imported(
      () => import("./AwsEngine.ts"),
      (AwsEngine) =>
        AwsEngine.layer({
          region: awsRegion,
          language: awsLanguage,
          vocabulary: awsVocabulary,
          endpoint: awsEndpoint,
          skipCertVerify
        })
    ),
  openai: ({ openaiApiKey, openaiModel, openaiUrl, skipCertVerify }) =>
    OpenAiEngine.layer({ url: openaiUrl, apiKey: openaiApiKey, model: openaiModel, skipCertVerify }),
  sherpa: ({ sherpaModel = "", storage }) => SherpaEngine.layer({ model: sherpaModel, storage: storageOf({ storage }) })
}

/** `imported(() => import("./AwsEngine.ts"), (module) => module.layer(…))`: the module is loaded when the layer is built. */
const imported = <Module>(load: () => Promise<Module>, layer: (module: Module) => Made): Made => {
  const loaded = Effect.tryPromise({
    try: load,
    // a package that is not installed, as optional ones may be; its name is on the first line
    catch: (cause) => new ConfigurationError({ detail: `an engine cannot be loaded: ${String(cause).split("\n")[0]}` })
  })
  return Layer.unwrap(Effect.map(loaded, layer))
}

/**
 * Those that `LT_ENGINE` names, best role first, else the first that is configured, else none; of them those that `LT_PRIVACY` allows: nothing
 * of the process ever knows the others.
 */
export const layer = (config: AppConfig): Layer.Layer<Engines, ConfigurationError> =>
  Layer.effect(
    Engines,
    Effect.gen(function* () {
      const engines: Array<ConfiguredEngine> = []
      for (const { make, role } of yield* chainOf(config)) {
        const engine = EngineHealth.make(Context.get(yield* Layer.build(make(config)), SpeechEngine), role)
        if (EnginePrivacy.allowedBy(config.privacy, [engine]).length > 0) engines.push(engine)
        else yield* notUsed(engine)
        if (config.engines === undefined && engines.length > 0) break
      }
      return engines
    })
  )

/** One engine and no choice, for programs that embed the Transcriber. */
export const single: Layer.Layer<Engines, never, SpeechEngine> = Layer.effect(
  Engines,
  SpeechEngine.use((engine) => Effect.succeed([EngineHealth.make(engine)]))
)

/** What Talk's menu lists. Before there is an engine that is what most will have: an empty menu breaks the page. */
export const languagesOf = (engines: Engines["Service"]): Languages =>
  engines.length === 0 ? kyutaiLanguages : languagesKnown(engines)

/** `LT_DEFAULT_LANGUAGE`, else English, else whatever the first engine knows. Fails when it names one that no engine knows. */
export const defaultLanguageOf = (
  languages: Languages,
  asked: LanguageId | undefined
): Effect.Effect<LanguageId, ConfigurationError> => {
  const found = known(languages, asked ?? defaultLanguage) ?? (asked === undefined ? first(languages) : undefined)
  return found === undefined
    ? Effect.fail(
        new ConfigurationError({
          detail: `LT_DEFAULT_LANGUAGE must be one of those the engines know: ${Object.keys(languages).join(", ")}`
        })
      )
    : Effect.succeed(found)
}

const first = (languages: Languages): LanguageId => known(languages, Object.keys(languages)[0]) ?? defaultLanguage

const chainOf = (config: AppConfig) => {
  const isConfigured = (name: EngineName) => table[name] !== undefined && missingFor(config, name).length === 0
  const chain: ReadonlyArray<NamedEngine> =
    config.engines ?? engineNames.filter(isConfigured).map((name) => ({ name, role: "Primary" }))
  const inTurn = chain.toSorted((one, other) => roleRanks[one.role] - roleRanks[other.role])
  return Effect.forEach(inTurn, ({ name, role }) => {
    const make = table[name]
    return make === undefined
      ? Effect.fail(new ConfigurationError({ detail: `LT_ENGINE names ${name}, which is not part of this version` }))
      : Effect.succeed({ make, role })
  })
}

const notUsed = ({ engine }: ConfiguredEngine) =>
  Effect.logWarning(
    `LT_PRIVACY is local-only: ${engine.capabilities.name} sends audio off this machine and is not used`
  )

/** A server of one's own comes before Modal. */
const modalSocket = (config: AppConfig) => {
  const { modalHostSuffix, modalKey, modalSecret, modalWorkspace, skipCertVerify, sttStreamUrl } = config
  if (sttStreamUrl !== undefined) {
    return SocketModalClient.layer({ url: { _tag: "Direct", url: sttStreamUrl }, skipCertVerify })
  }
  if (modalWorkspace === undefined || modalKey === undefined || modalSecret === undefined) {
    return SocketModalClient.layer({})
  }
  const hostSuffix = modalHostSuffix ?? SocketModalClient.DEFAULT_HOST_SUFFIX
  return SocketModalClient.layer({
    url: { _tag: "Modal", workspace: modalWorkspace, hostSuffix, key: modalKey, secret: modalSecret },
    skipCertVerify
  })
}
