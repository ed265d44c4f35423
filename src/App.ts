/**
 * The whole service, put together from a configuration.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { Duration, Effect, Layer, Logger, Option, References, Stream } from "effect"
import { Incarnation } from "./domain/Seat.ts"
import * as Access from "./http/Access.ts"
import { adviceOf, Deployment } from "./http/Deployment.ts"
import * as Doors from "./http/Doors.ts"
import * as Quotas from "./http/Quotas.ts"
import * as Server from "./http/Server.ts"
import * as AppApiNextcloud from "./layers/AppApiNextcloud.ts"
import { type AppConfig, hasCredentials, isExApp, missing, missingEngine, storageOf } from "./layers/AppConfig.ts"
import { backendCandidates } from "./layers/BackendUrls.ts"
import * as CallPresence from "./layers/CallPresence.ts"
import * as ClusterCalls from "./layers/ClusterCalls.ts"
import type { ConfigurationError } from "./layers/ConfigurationError.ts"
import * as ConfiguredEngines from "./layers/ConfiguredEngines.ts"
import * as ConfiguredTranscriptStore from "./layers/ConfiguredTranscriptStore.ts"
import * as EngineTranscriber from "./layers/EngineTranscriber.ts"
import * as FileSpeechJournal from "./layers/FileSpeechJournal.ts"
import * as HubCaptionFeed from "./layers/HubCaptionFeed.ts"
import * as MemoryViewerLanguages from "./layers/MemoryViewerLanguages.ts"
import * as OpusDecoder from "./layers/OpusDecoder.ts"
import * as PolyphaseResampler from "./layers/PolyphaseResampler.ts"
import * as SeatedCalls from "./layers/SeatedCalls.ts"
import * as SpreedSignaling from "./layers/SpreedSignaling.ts"
import type { TalkCallOptions } from "./layers/TalkCall.ts"
import * as TalkTranscriptSink from "./layers/TalkTranscriptSink.ts"
import * as WeriftPeerConnection from "./layers/WeriftPeerConnection.ts"
import * as Shutdown from "./Shutdown.ts"
import { Calls } from "./services/Calls.ts"
import { CaptionFeed } from "./services/CaptionFeed.ts"
import { Engines } from "./services/Engines.ts"
import type { RunnerProcess } from "./services/Fleet.ts"
import { Front } from "./services/Front.ts"
import { Nextcloud } from "./services/Nextcloud.ts"
import type { Transcriber } from "./services/Transcriber.ts"
import type { TranscriptSink } from "./services/TranscriptSink.ts"
import type { ViewerLanguages } from "./services/ViewerLanguages.ts"

/** JSON lines on the standard output, from the level on that was asked for. */
export const logs = (level: AppConfig["logLevel"]) =>
  Layer.merge(Logger.layer([Logger.consoleJson]), Layer.succeed(References.MinimumLogLevel, level))

/**
 * Runs for as long as its scope: the listeners, the calls behind them, and what those need. When it closes, nothing new is begun, and all
 * calls and streams deliver their last words and say bye at the same time; the listeners, which refuse until then, go last. With a runner it
 * is one of several processes, and needs its `Front`.
 */
export const layer = (config: AppConfig, runner?: RunnerProcess, given: Partial<TalkCallOptions> = {}) =>
  listeners(config).pipe(
    Layer.provide(announcement(config)),
    Layer.provide(calls(config, runner, given)),
    Layer.provide(captions),
    Layer.provide([nextcloud(config), deployment(config)]),
    Layer.provide(EngineTranscriber.layer),
    Layer.provide(ConfiguredEngines.layer(config)),
    Shutdown.orderly(config.shutdownSeconds)
  )

/** Nextcloud's listener where there is a Nextcloud; the service's where there is none, or where it is asked for. */
const listeners = (config: AppConfig) => {
  const { appHost, appPort = 23_000, harpKey, harpSocket, servicePort = 8080 } = config
  const exApp = Server.exApp(harpKey === undefined ? { host: appHost, port: appPort } : { path: harpSocket })
  const service = Server.service({ host: serviceHost(config), port: servicePort }, certificate(config)).pipe(
    Layer.provide(doors(config)),
    Layer.provide([Access.layer(config), Quotas.layer(config)])
  )
  if (!isExApp(config)) return service
  return config.servicePort === undefined ? exApp : Layer.merge(exApp, service)
}

/** Streaming needs engines, and nothing that calls need. */
const doors = (config: AppConfig) =>
  Doors.layer(config).pipe(
    Layer.provide([OpusDecoder.layer, PolyphaseResampler.layer, ConfiguredTranscriptStore.layer(config)])
  )

/** Where nobody was given a credential all have to be on this machine (`AppConfig.load` refuses anything else). */
const serviceHost = (config: AppConfig) => config.serviceHost ?? (hasCredentials(config) ? "0.0.0.0" : "127.0.0.1")

/** `AppConfig.load` lets no half of it pass. */
const certificate = ({ tlsCertificate, tlsKey }: AppConfig) =>
  tlsCertificate === undefined || tlsKey === undefined ? undefined : { certificate: tlsCertificate, key: tlsKey }

const deployment = (config: AppConfig) =>
  Layer.effect(
    Deployment,
    Effect.gen(function* () {
      const languages = ConfiguredEngines.languagesOf(yield* Engines)
      return {
        appId: config.appId,
        version: config.appVersion,
        appSecret: config.appSecret,
        languages,
        defaultLanguage: yield* ConfiguredEngines.defaultLanguageOf(languages, config.defaultLanguage),
        missing: missing(config)
      }
    })
  )

const nextcloud = (config: AppConfig) => AppApiNextcloud.layer({ ...config, url: config.nextcloudUrl })

/** The one place where the log says what is missing; `/api/v1/status` and refused requests say the same. */
const announcement = (config: AppConfig) =>
  Layer.effectDiscard(
    Effect.flatMap(Front, (front) => (front === undefined || front.isFirst ? announce(config) : Effect.void))
  )

const announce = (config: AppConfig): Effect.Effect<void> => {
  if (missing(config).length === 0) return Effect.logInfo("Parlance starts", { version: config.appVersion })
  const isForTalk = isExApp(config) || config.hpbUrl !== undefined || config.internalSecret !== undefined
  return isForTalk || missingEngine(config).length > 0
    ? Effect.logWarning(adviceOf(missing(config)))
    : Effect.logInfo("Parlance starts, for streaming. Captions in Talk calls need LT_HPB_URL and LT_INTERNAL_SECRET.", {
        version: config.appVersion
      })
}

/** What is said goes back into the call, and to whoever reads along over HTTP. */
const captions = HubCaptionFeed.beside(TalkTranscriptSink.layer())

/** Several processes share their calls, and so does one whose database is not its own; otherwise all calls are in this process. */
const calls = (
  config: AppConfig,
  process: RunnerProcess | undefined,
  given: Partial<TalkCallOptions>
): Layer.Layer<
  Calls | ViewerLanguages | CaptionFeed,
  ConfigurationError,
  Nextcloud | Transcriber | TranscriptSink | CaptionFeed
> => {
  const { databaseUrl, hpbUrl, internalSecret, runnerAddress } = config
  const feed = Layer.effect(CaptionFeed, CaptionFeed)
  if (hpbUrl === undefined || internalSecret === undefined || missing(config).length > 0) {
    return Layer.mergeAll(noCalls, MemoryViewerLanguages.layer, feed)
  }
  const storage = storageOf(config)
  const runner = process ?? (databaseUrl === undefined ? undefined : onlyRunner())
  const options = {
    screenShares: config.screenAudio,
    maxVoices: config.maxSpeakers,
    localOnlyRooms: config.localOnlyRooms ?? [],
    presence: { ...CallPresence.defaultLimits, graceMs: Duration.toMillis(Duration.seconds(config.graceSeconds)) },
    ...given
  }
  const seatsOf = (one: RunnerProcess) =>
    SeatedCalls.layer({
      ...options,
      runner: one,
      secret: internalSecret,
      database:
        databaseUrl === undefined
          ? { _tag: "File", file: join(storage, ClusterCalls.FILE), isShared: true }
          : { _tag: "Server", url: databaseUrl },
      // `auto` begins with one.
      ...(config.runners === "auto" ? {} : { ofMachine: config.runners }),
      ...(runnerAddress === undefined ? {} : { address: runnerAddress })
    })
  return (runner === undefined ? Layer.merge(ClusterCalls.layer({ ...options, storage }), feed) : seatsOf(runner)).pipe(
    Layer.provide([
      signaling(config, { hpbUrl, internalSecret }),
      WeriftPeerConnection.layer(),
      OpusDecoder.layerForMany
    ]),
    Layer.provide(
      FileSpeechJournal.layer({ storage, secret: internalSecret, ...(runner === undefined ? {} : { runner }) })
    ),
    Shutdown.early
  )
}

/** One process on this machine, and others elsewhere. */
const onlyRunner = (): RunnerProcess => ({
  slot: 0,
  incarnation: Incarnation.make(randomUUID()),
  gone: Stream.never
})

/** Nothing can be started before the configuration is complete: HTTP refuses, and there is nothing to list. */
const noCalls = Layer.succeed(Calls, {
  start: () => Effect.void,
  stop: () => Effect.void,
  end: () => Effect.succeed(false),
  endAll: Effect.void,
  setLanguage: () => Effect.succeed(false),
  list: Effect.succeed([])
})

const signaling = (
  { backendUrl, nextcloudUrl, skipCertVerify }: AppConfig,
  hpb: Pick<SpreedSignaling.SpreedOptions, "hpbUrl" | "internalSecret">
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { absoluteUrl } = yield* Nextcloud
      const sources = { configured: backendUrl, nextcloudUrl, hpbUrl: hpb.hpbUrl }
      // What an admin has set needs no asking.
      const backendUrls =
        backendUrl === undefined
          ? Effect.map(Effect.option(absoluteUrl), (asked) =>
              backendCandidates({ ...sources, absoluteUrl: Option.getOrUndefined(asked) })
            )
          : Effect.succeed(backendCandidates(sources))
      return SpreedSignaling.layer({ ...hpb, backendUrls, skipCertVerify })
    })
  )
