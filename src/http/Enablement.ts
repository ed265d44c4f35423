/**
 * Whether Nextcloud holds the app enabled.
 */
import { Context, Effect, Layer, Schedule } from "effect"
import { Calls } from "../services/Calls.ts"
import { Front } from "../services/Front.ts"
import { Nextcloud } from "../services/Nextcloud.ts"
import { Unavailable } from "./Api.ts"
import { Deployment } from "./Deployment.ts"

/** `set(false)` ends every call and forgets all intents; afterwards `require` fails until `set(true)`. */
export class Enablement extends Context.Service<
  Enablement,
  {
    readonly isEnabled: Effect.Effect<boolean>
    readonly set: (enabled: boolean) => Effect.Effect<void>
    readonly require: Effect.Effect<void, Unavailable>
  }
>()("parlance/http/Enablement") {}

/** Five minutes in all: Nextcloud may be restarting together with us. */
const askAgain = Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 30 }))

/**
 * After a restart AppAPI tells us nothing, so it is asked. Until it has answered, and if it never does, the app counts as enabled: it was
 * running, Talk asks before every request whether it is enabled, and captions that come back matter more. What AppAPI says by
 * `/enabled` overrules what it was asked, in all runners, whichever is told.
 */
export const layer: Layer.Layer<Enablement, never, Calls | Deployment | Nextcloud> = Layer.effect(
  Enablement,
  Effect.gen(function* () {
    const calls = yield* Calls
    const nextcloud = yield* Nextcloud
    const { appId } = yield* Deployment
    const front = yield* Front
    let told = front?.isEnabled()
    let isEnabled = told ?? true

    const set = Effect.fnUntraced(function* (enabled: boolean) {
      isEnabled = enabled
      if (!enabled) yield* calls.endAll
    })

    // One runner is told, and ends the calls of all.
    yield* front?.onEnabled((enabled) => {
      told = enabled
      isEnabled = enabled
    }) ?? Effect.void

    yield* nextcloud.enabled.pipe(
      Effect.retry({ schedule: askAgain, while: ({ retryable }) => retryable && told === undefined }),
      Effect.flatMap((answer) => (told === undefined ? set(answer) : Effect.void)),
      Effect.catchTag("NextcloudError", (error) =>
        Effect.logWarning("Nextcloud does not say whether the app is enabled, going on as if", {
          reason: error.message
        })
      ),
      Effect.forkScoped
    )

    return {
      isEnabled: Effect.sync(() => isEnabled),
      set: (enabled) =>
        Effect.suspend(() => {
          told = enabled
          front?.setEnabled(enabled)
          return set(enabled)
        }),
      require: Effect.suspend(() =>
        isEnabled ? Effect.void : Effect.fail(new Unavailable({ error: `${appId} is disabled in Nextcloud` }))
      )
    }
  })
)
