/**
 * Ticker: one timer of the process for all that look at the time often. A timer and a fiber of one's own cost twenty times what most looks do.
 */
import { Clock, Context, Effect, Latch, Logger } from "effect"
import * as Monotonic from "./Monotonic.ts"

/** Plain and short: all others wait. `atMs` is of the monotonic clock. */
export type Look = (atMs: number) => void

export interface Ticker {
  /** It looks from now on. */
  readonly add: (look: Look) => void
  /** One that was added is left alone until then (ms, of the monotonic clock), or until that is said of another time: whoever rests costs next to nothing. */
  readonly rest: (look: Look, untilMs: number) => void
  readonly remove: (look: Look) => void
}

interface Looking {
  readonly look: Look
  untilMs: number
}

/** Each clock has its own tickers: in tests, time is the test's. */
const tickers = new WeakMap<Clock.Clock, Map<number, Ticker>>()

/**
 * The ticker of that period. It rests while nobody looks; the first look comes a period after the first was added, or sooner behind others. One
 * that throws is a bug: it is logged, and does not look any more.
 */
export const every = (ms: number): Effect.Effect<Ticker> =>
  Clock.clockWith((clock) => {
    const ofClock = tickers.get(clock) ?? new Map<number, Ticker>()
    tickers.set(clock, ofClock)
    const known = ofClock.get(ms)
    if (known !== undefined) return Effect.succeed(known)
    const { loop, ticker } = make(clock, ms)
    ofClock.set(ms, ticker)
    return Effect.gen(function* () {
      // it outlives whoever was the first: nothing else of theirs is kept
      const kept = Context.make(Clock.Clock, clock).pipe(
        Context.add(Logger.CurrentLoggers, yield* Logger.CurrentLoggers)
      )
      yield* Effect.forkDetach(Effect.setContext(loop, kept), { startImmediately: true })
      return ticker
    })
    // a ticker that is known and never began would stand still for everybody
  }).pipe(Effect.uninterruptible)

const make = (clock: Clock.Clock, ms: number) => {
  const looks = new Map<Look, Looking>()
  const any = Latch.makeUnsafe(false)
  let bugs: Array<unknown> = []
  const now = Monotonic.ofClock(clock)
  const tick = () => {
    const atMs = now()
    for (const { look, untilMs } of looks.values()) {
      if (atMs < untilMs) continue
      try {
        look(atMs)
      } catch (bug) {
        looks.delete(look)
        bugs.push(bug)
      }
    }
    if (looks.size === 0) any.closeUnsafe()
  }
  const report = Effect.suspend(() => {
    const found = bugs
    bugs = []
    return Effect.logError("bug in what looks at the time", ...found)
  })
  const untilNext = Effect.sleep(ms)
  const untilFirst = Effect.andThen(any.await, untilNext)
  const ticker: Ticker = {
    add: (look) => {
      if (!looks.has(look)) looks.set(look, { look, untilMs: 0 })
      any.openUnsafe()
    },
    rest: (look, untilMs) => {
      const one = looks.get(look)
      if (one !== undefined) one.untilMs = untilMs
    },
    remove: (look) => {
      looks.delete(look)
    }
  }
  // no `Schedule`: fifty times a second, it costs three times as much
  const loop = Effect.whileLoop({
    while: () => true,
    body: () => {
      const next = looks.size === 0 ? untilFirst : untilNext
      return bugs.length === 0 ? next : Effect.andThen(report, next)
    },
    step: tick
  })
  return { loop, ticker }
}
