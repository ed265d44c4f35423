/**
 * Stopping: the end of the service, as those see it who have something to finish before it.
 */
import { Context, Effect, type Scope } from "effect"

/**
 * How the time there is (`LT_SHUTDOWN_SECONDS`) is spent, and when each phase is over at the latest: eighths of it, which are seconds by
 * default. All calls and all streams go through them at the same time. What is done earlier ends earlier.
 *
 * | until | what |
 * | --- | --- |
 * | 0 | nothing new is begun, nobody is heard any more |
 * | 3 | `Words`: engines are flushed; what they have not said by then nobody waits for, and what is open becomes final |
 * | 3.5 | `Published`: the finals are with whoever delivers them |
 * | 5 | `Delivered`: the HPB has read them; transcripts are stored |
 * | 6 | `Left`: bye was said to the HPB, streams are closed |
 * | 7 | `Closed`: answers under way are finished, listeners are gone |
 * | 8 | the process ends by force (`Shutdown.deadline`) |
 */
export const schedule = { Words: 3, Published: 3.5, Delivered: 5, Left: 6, Closed: 7 } as const

export type Phase = keyof typeof schedule

/** Nobody stops where this was not provided: `isStopping` is false and `until` never completes. */
export interface Stopping {
  readonly isStopping: () => boolean
  /** Completes when that phase has to be over, once the service is to end; never while it runs. To race with. */
  readonly until: (phase: Phase) => Effect.Effect<void>
  /** Runs as soon as the service is to end, beside the other farewells, until `Left` at the latest; not if the scope closes before. */
  readonly farewell: (effect: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
}

export const Stopping: Context.Reference<Stopping> = Context.Reference<Stopping>("parlance/services/Stopping", {
  defaultValue: () => ({ isStopping: () => false, until: () => Effect.never, farewell: () => Effect.void })
})
