/**
 * AppAPI's side of an ExApp: installed, enabled, disabled, asked what it can do.
 */
import { Effect, FiberHandle, Schedule } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Nextcloud } from "../services/Nextcloud.ts"
import { ExAppApi } from "./Api.ts"
import { Deployment } from "./Deployment.ts"
import { Enablement } from "./Enablement.ts"

/** AppAPI waits 40 minutes for the end of init. */
const reportAgain = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.upTo({ duration: "40 minutes" })
)

/** Handlers of the lifecycle group. */
export const layer = HttpApiBuilder.group(
  ExAppApi,
  "lifecycle",
  Effect.fnUntraced(function* (handlers) {
    const nextcloud = yield* Nextcloud
    const enablement = yield* Enablement
    const { appId, languages, version } = yield* Deployment
    // At most one report is under way: AppAPI may install again before it has heard of the first time.
    const reporting = yield* FiberHandle.make<void>()
    const report = nextcloud.reportInit(100).pipe(
      Effect.retry({ schedule: reportAgain, while: ({ retryable }) => retryable }),
      Effect.andThen(Effect.logInfo("Nextcloud knows that the app is ready")),
      Effect.catchTag("NextcloudError", (error) =>
        Effect.logError("could not tell Nextcloud that the app is ready", { reason: error.message })
      )
    )
    return handlers.handleAll({
      // There is nothing to prepare. The report is answered only after AppAPI has called us back, so nobody may wait for it here.
      init: () => Effect.as(FiberHandle.run(reporting, report), {}),
      setEnabled: Effect.fnUntraced(function* ({ query }) {
        const enabled = query.enabled === "1" || query.enabled === "true"
        yield* enablement.set(enabled)
        yield* Effect.logInfo(enabled ? "enabled by Nextcloud" : "disabled by Nextcloud, all calls end")
        return { error: "" }
      }),
      enabled: () => Effect.map(enablement.isEnabled, (enabled) => ({ enabled })),
      capabilities: () =>
        Effect.succeed({
          [appId]: {
            version,
            features: ["live_transcription" as const],
            live_transcription: { supported_languages: languages }
          }
        })
    })
  })
)
