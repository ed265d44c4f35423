/**
 * Every environment variable this service reads, in the order the README lists them. Nothing else reads the environment.
 */
import { availableParallelism } from "node:os"
import { Config, Effect, Redacted } from "effect"
import * as CallSettings from "./CallSettings.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import * as EngineSettings from "./EngineSettings.ts"
import * as ExAppSettings from "./ExAppSettings.ts"
import * as FleetSettings from "./FleetSettings.ts"
import { isLoopback } from "./Loopback.ts"
import * as PostgresUrl from "./PostgresUrl.ts"
import { isPublic } from "./PrivateNetwork.ts"
import * as ServiceSettings from "./ServiceSettings.ts"
import type { Setting, Variable } from "./Setting.ts"
import { type EngineName, engineNames } from "./SettingKinds.ts"

/** The one list. Its order is the README's. */
export const settings = {
  ...CallSettings.backend,
  ...EngineSettings.engines,
  ...CallSettings.calls,
  ...ServiceSettings.service,
  ...FleetSettings.processes,
  ...ExAppSettings.exApp
}

/** What `settings` say, read and checked. */
export type AppConfig = { readonly [K in keyof typeof settings]: Config.Success<(typeof settings)[K]> }

/** One of these sets of settings makes an engine usable. */
const engineNeeds: Readonly<Record<EngineName, ReadonlyArray<ReadonlyArray<keyof AppConfig>>>> = {
  modal: [["sttStreamUrl"], ["modalWorkspace", "modalKey", "modalSecret"]],
  moshi: [["moshiUrl"]],
  openai: [["openaiApiKey"]],
  aws: [["awsRegion"]],
  tldw: [["tldwUrl"]],
  vosk: [["voskUrl"]],
  sherpa: [["sherpaModel"]]
}

/** For documentation and tests. */
export const variables: ReadonlyArray<Variable> = Object.values(settings).map(({ variable }) => variable)

/** RFC 7518 §3.2: no shorter than the hash. */
const LEAST_SECRET_CHARACTERS = 32

const LAST_PORT = 65_535

/** Runners of this machine. */
const most = ({ runners }: Pick<AppConfig, "runners">): number =>
  runners === "auto" ? availableParallelism() : runners

/** Reads the environment (or whatever `ConfigProvider` is provided) once. */
export const load: Effect.Effect<AppConfig, ConfigurationError> = Effect.gen(function* () {
  const config: AppConfig = yield* Config.all(settings)
  if (!hasCredentials(config) && !isLoopback(config.serviceHost ?? "127.0.0.1")) {
    return yield* new ConfigurationError({
      detail:
        "LT_LISTEN_HOST must be a loopback address unless LT_API_TOKEN, LT_TOKENS_FILE, LT_JWT_SECRET or LT_JWT_PUBLIC_KEY is set"
    })
  }
  if (config.jwtSecret !== undefined && Redacted.value(config.jwtSecret).length < LEAST_SECRET_CHARACTERS) {
    return yield* new ConfigurationError({
      detail: `LT_JWT_SECRET must have ${LEAST_SECRET_CHARACTERS} characters or more`
    })
  }
  if ((config.tlsCertificate === undefined) !== (config.tlsKey === undefined)) {
    return yield* new ConfigurationError({ detail: "LT_TLS_CERT and LT_TLS_KEY must be set together" })
  }
  if (config.runnerAddress !== undefined && !config.runnerPublic && isPublic(config.runnerAddress.host)) {
    return yield* new ConfigurationError({
      detail: "LT_RUNNER_ADDRESS must be an address of a private network unless LT_RUNNER_PUBLIC is true"
    })
  }
  if (config.runnerAddress !== undefined && config.runnerAddress.port + most(config) - 1 > LAST_PORT) {
    return yield* new ConfigurationError({
      detail: `LT_RUNNER_ADDRESS must have a port low enough for all ${most(config)} runners of LT_RUNNERS: each has the next one`
    })
  }
  if (config.databaseUrl !== undefined && !PostgresUrl.isLocal(config.databaseUrl)) {
    const { runnerAddress } = config
    // Whoever else uses that database would take this machine for dead, or itself for this machine.
    if (runnerAddress === undefined || isLoopback(runnerAddress.host)) {
      return yield* new ConfigurationError({
        detail:
          "LT_RUNNER_ADDRESS must be where other machines reach this one, as LT_DATABASE_URL is a database of another machine"
      })
    }
  }
  if (config.databaseUrl !== undefined && config.internalSecret === undefined) {
    return yield* new ConfigurationError({
      detail:
        "LT_INTERNAL_SECRET must be set where LT_DATABASE_URL is, and be the same on all machines: runners of one database prove to each other that they know it"
    })
  }
  for (const { name } of config.engines ?? []) {
    const needed = missingFor(config, name).map((variable) => variable.name)
    if (needed.length > 0) {
      return yield* new ConfigurationError({ detail: `LT_ENGINE names ${name}, but ${listed(needed)} not set` })
    }
  }
  return config
}).pipe(Effect.catchTag("ConfigError", ({ cause }) => Effect.fail(new ConfigurationError({ detail: cause.message }))))

/** What calls cannot do without and is not set, each with what it is for. Empty when captions can be given. */
export const missing = (config: AppConfig): ReadonlyArray<MissingSetting> => {
  const needed: Array<Setting<unknown>> = []
  if (isExApp(config) && config.appSecret === undefined) needed.push(settings.appSecret)
  if (config.hpbUrl === undefined) needed.push(settings.hpbUrl)
  if (config.internalSecret === undefined) needed.push(settings.internalSecret)
  return [...needed.map(({ variable }) => variable), ...missingEngine(config)]
}

/** What keeps speech from becoming text at all: an engine that is half configured, else that there is none. Empty when there is one. */
export const missingEngine = (config: AppConfig): ReadonlyArray<MissingSetting> => {
  if (engineNames.some((name) => missingFor(config, name).length === 0)) return []
  const begun = engineNames.find((name) => engineNeeds[name].flat().some((key) => config[key] !== undefined))
  if (begun !== undefined) return missingFor(config, begun)
  const ways = engineNames.flatMap((name) => engineNeeds[name].map((keys) => keys.map(nameOf).join(" + ")))
  return [{ name: "a speech engine", description: `one of these makes one: ${ways.join(", ")}` }]
}

/** What an engine still needs; of several ways the one that is nearest. Empty when it is configured. */
export const missingFor = (config: AppConfig, name: EngineName): ReadonlyArray<Variable> => {
  const ways = engineNeeds[name].map((keys) => keys.filter((key) => config[key] === undefined))
  const begun = ways.filter((left, index) => left.length < (engineNeeds[name][index]?.length ?? 0))
  const nearest = begun[0] ?? ways[0] ?? []
  return (ways.some((left) => left.length === 0) ? [] : nearest).map((key) => settings[key].variable)
}

/** A variable that is not set, or what one of several would give. */
export type MissingSetting = Pick<Variable, "name" | "description">

const nameOf = (key: keyof AppConfig): string => settings[key].variable.name

const listed = (names: ReadonlyArray<string>): string =>
  names.length === 1 ? `${names[0]} is` : `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are`

/** Whether Nextcloud is to reach us: AppAPI always sets the secret; the rest is for whoever forgot it. */
export const isExApp = (config: AppConfig): boolean =>
  config.appSecret !== undefined || config.appPort !== undefined || config.harpKey !== undefined

/** Whether somebody was given a credential; without any there is one user, on this machine. */
export const hasCredentials = (
  config: Pick<AppConfig, "apiToken" | "jwtPublicKey" | "jwtSecret" | "tokensFile">
): boolean =>
  [config.apiToken, config.tokensFile, config.jwtSecret, config.jwtPublicKey].some((one) => one !== undefined)

/** Where things are kept that must outlive a restart. */
export const storageOf = ({ storage }: Pick<AppConfig, "storage">): string => storage ?? ".parlance"
