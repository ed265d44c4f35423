/**
 * What the HTTP interface knows about how this process was set up.
 */
import { Context, Effect, type Redacted } from "effect"
import type { LanguageId, Languages } from "../domain/Language.ts"
import { Stopping } from "../services/Stopping.ts"
import { Unavailable } from "./Api.ts"

/** An environment variable that is not set although calls need it; or what one of several would give. */
export interface MissingVariable {
  readonly name: string
  readonly description: string
}

/** Fixed for the life of the process. */
export class Deployment extends Context.Service<
  Deployment,
  {
    readonly appId: string
    readonly version: string
    /** Absent: nobody can prove to be Nextcloud. */
    readonly appSecret: Redacted.Redacted | undefined
    readonly languages: Languages
    readonly defaultLanguage: LanguageId
    readonly missing: ReadonlyArray<MissingVariable>
  }
>()("parlance/http/Deployment") {}

/** One line that lists what is missing and what it is for. */
export const adviceOf = (missing: ReadonlyArray<MissingVariable>): string =>
  `not configured: ${missing.map(({ description, name }) => `${name} is not set (${description})`).join("; ")}`

/** For what would begin something new: refuses it once the service stops. */
export const requireRunning: Effect.Effect<Effect.Effect<void, Unavailable>> = Effect.map(Stopping, ({ isStopping }) =>
  Effect.suspend(() => (isStopping() ? Effect.fail(new Unavailable({ error: "shutting down" })) : Effect.void))
)

/** Refuses, with that advice, what cannot work. */
export const requireConfiguration: Effect.Effect<void, Unavailable, Deployment> = Deployment.use(({ missing }) =>
  missing.length === 0 ? Effect.void : Effect.fail(new Unavailable({ error: adviceOf(missing) }))
)
