/**
 * The one clock of all simulated microphones: a tick every 20 ms of real time; ticks that came late are made up for.
 */
import { Effect, type Scope } from "effect"
import { PACKET_MS } from "./SpeechEncoder.ts"

export interface SpeechClock {
  /** Calls `tick` every 20 ms with the moment it was due (ms since 1970, fractional) until the returned function is called. */
  readonly onTick: (tick: (dueMs: number) => void) => () => void
}

/**
 * So many ticks that are late are made up for before anything else has its turn: on a machine where twenty milliseconds of all microphones take
 * longer than that, there would be no end to them, and the Talk around them would stand still for good. Half a second, so that whoever watches
 * for standstills sees that speech is broken.
 */
const AT_ONCE = 25

/** Runs on real time, whatever Effect's clock says, until its scope closes. */
export const make: Effect.Effect<SpeechClock, never, Scope.Scope> = Effect.gen(function* () {
  const ticks = new Set<(dueMs: number) => void>()
  let dueMs = epochMs()
  yield* Effect.sync(() => {
    for (let made = 0; made < AT_ONCE && dueMs <= epochMs(); made++) {
      for (const tick of ticks) tick(dueMs)
      dueMs += PACKET_MS
    }
    return Math.max(1, dueMs - epochMs())
  }).pipe(
    Effect.flatMap((leftMs) => Effect.sleep(leftMs)),
    Effect.forever,
    Effect.forkScoped
  )
  return {
    onTick: (tick) => {
      ticks.add(tick)
      return () => {
        ticks.delete(tick)
      }
    }
  }
})

/** Comparable with other processes of the machine. */
export const epochMs = (): number => performance.timeOrigin + performance.now()
