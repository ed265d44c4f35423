/**
 * The monotonic clock for code that is called synchronously: hearing, sinks, latency figures.
 */
import { Clock, Effect } from "effect"

/** A function that reads Effect's clock in milliseconds: fractional, unaffected by changes of the wall clock, and the test clock in tests. */
export const monotonicMs: Effect.Effect<() => number> = Clock.clockWith((clock) =>
  Effect.succeed(() => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
)
