/**
 * Every dialect's doors as a layer: what the service listener hands its websockets to. Needs engines and nothing else of a configuration.
 */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { AppConfig } from "../layers/AppConfig.ts"
import * as Metrics from "../layers/Metrics.ts"
import { monotonicMs } from "../layers/Monotonic.ts"
import { Decoder } from "../services/Decoder.ts"
import { Engines } from "../services/Engines.ts"
import { Resampler } from "../services/Resampler.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber } from "../services/Transcriber.ts"
import { TranscriptStore } from "../services/TranscriptStore.ts"
import { Access } from "./Access.ts"
import { Deployment } from "./Deployment.ts"
import type { Dialect } from "./Dialect.ts"
import { dialects } from "./Dialects.ts"
import * as Door from "./Door.ts"
import type { Upgrades } from "./Listener.ts"
import { Quotas } from "./Quotas.ts"

/** The doors of the service listener; without `layer` there are none. */
export const Doors: Context.Reference<Upgrades | undefined> = Context.Reference<Upgrades | undefined>(
  "parlance/http/Doors",
  { defaultValue: () => undefined }
)

/** What `layer` needs to know of the configuration. */
export type DoorSettings = Pick<AppConfig, "idleSeconds" | "maxStreams" | "sessionSeconds">

/** Connections beyond the streams that are allowed: of those who have not shown yet who they are, and of those who are told why not. */
const STRANGERS = 200
export const layer = (settings: DoorSettings, spoken: ReadonlyArray<Dialect> = dialects) =>
  Layer.effect(
    Doors,
    Effect.gen(function* () {
      const { idleSeconds, maxStreams, sessionSeconds } = settings
      const { defaultLanguage } = yield* Deployment
      const stopping = yield* Stopping
      const services = {
        access: yield* Access,
        quotas: yield* Quotas,
        engines: yield* Engines,
        transcriber: yield* Transcriber,
        store: yield* TranscriptStore,
        decoder: yield* Decoder,
        resampler: yield* Resampler,
        now: yield* monotonicMs,
        onTrouble: yield* Metrics.countsOf(Metrics.drops, { reason: "bad_audio" }),
        limits: { defaultLanguage, idleSeconds, sessionSeconds },
        stopping
      }
      const upgrades = yield* Door.make(spoken, services, { maxConnections: maxStreams + STRANGERS })
      yield* stopping.farewell(upgrades.close)
      return upgrades
    })
  )

/** Addresses that only take websockets; `/` has a page besides. */
export const paths = dialects.flatMap((dialect) => dialect.paths).filter((path) => path !== "/")

/** What is said to those who ask there for anything else. */
export const routes = Layer.mergeAll(
  Layer.empty,
  ...paths.map((path) =>
    HttpRouter.add(
      "GET",
      path,
      HttpServerResponse.jsonUnsafe(
        { error: "this address speaks WebSocket" },
        { status: 426, headers: { upgrade: "websocket", connection: "upgrade" } }
      )
    )
  )
)
