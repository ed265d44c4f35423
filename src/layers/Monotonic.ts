/**
 * The monotonic clock for code that is called synchronously: hearing, sinks, latency figures.
 */
import { Clock, Effect } from "effect"

/** A function that reads Effect's clock in milliseconds: fractional, unaffected by changes of the wall clock, and the test clock in tests. */
export const monotonicMs: Effect.Effect<() => number> = Clock.clockWith((clock) =>
  Effect.succeed(() => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
)

/** The same, but it also goes on while the machine itself stood still, which a monotonic clock does not count: then by the wall clock. */
export const lifetimeMs: Effect.Effect<() => number> = Clock.clockWith((clock) =>
  Effect.sync(() => {
    const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    let [monotonicMs, wallMs, passedMs] = [monotonic(), clock.currentTimeMillisUnsafe(), 0]
    return () => {
      const [nowMs, nowWallMs] = [monotonic(), clock.currentTimeMillisUnsafe()]
      // the wall clock has whole milliseconds, and may be set back
      passedMs += Math.max(nowMs - monotonicMs, nowWallMs - wallMs - 1)
      monotonicMs = nowMs
      wallMs = nowWallMs
      return passedMs
    }
  })
)
