/**
 * The monotonic clock for code that is called synchronously: hearing, sinks, latency figures.
 */
import { Clock, Context, Effect } from "effect"

/** The clock of whoever has not been given another. */
const live = Context.get(Context.empty(), Clock.Clock)

/** Between the two ways to read it; what passes in between makes no difference, as nobody compares one with the other. */
const originMs = Number(live.monotonicTimeNanosUnsafe()) / 1e6 - performance.now()

/**
 * Reads a clock in milliseconds. The live one is not asked for its nanoseconds: as a BigInt they cost more than anything that is done with them,
 * thousands of times a second.
 */
export const ofClock = (clock: Clock.Clock): (() => number) =>
  clock === live ? () => originMs + performance.now() : () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** A function that reads Effect's clock in milliseconds: fractional, unaffected by changes of the wall clock, and the test clock in tests. */
export const monotonicMs: Effect.Effect<() => number> = Clock.clockWith((clock) => Effect.succeed(ofClock(clock)))

/** The same, but it also goes on while the machine itself stood still, which a monotonic clock does not count: then by the wall clock. */
export const lifetimeMs: Effect.Effect<() => number> = Clock.clockWith((clock) =>
  Effect.sync(() => {
    const monotonic = ofClock(clock)
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
