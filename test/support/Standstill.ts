/**
 * When this process stood still, which is Talk, engine and speaker to the services of a test: a busy machine. What was a word is none if half of it
 * comes late, and who heard nothing of an engine or an HPB for seconds is about to try another.
 */
import { Effect, type Scope } from "effect"

const BEAT_MS = 20
/** A network that stands still for so long twice in a row costs no word. */
const STALL_MS = 250

export interface Standstill {
  /** Whether all went on from this moment to that, in ms since 1970. After so long as the process stood still all is as it was. */
  readonly wasWhole: (fromMs: number, toMs: number) => boolean
  /** How long it has stood still, all in all, ms. */
  readonly stoodMs: () => number
}

/** Watches until the scope closes. */
export const watch: Effect.Effect<Standstill, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const stalls: Array<{ readonly beganMs: number; readonly endedMs: number }> = []
      let beatMs = performance.now()
      const timer = setInterval(() => {
        const lateMs = performance.now() - beatMs
        beatMs += lateMs
        if (lateMs > STALL_MS) stalls.push({ beganMs: Date.now() - lateMs, endedMs: Date.now() })
      }, BEAT_MS)
      return { stalls, timer }
    }),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  ),
  ({ stalls }): Standstill => ({
    stoodMs: () => stalls.reduce((sum, { beganMs, endedMs }) => sum + endedMs - beganMs, 0),
    wasWhole: (fromMs, toMs) =>
      // A microphone that stood still for less than a stall just before has its sound of that time still to send.
      stalls.every(({ beganMs, endedMs }) => toMs < beganMs - STALL_MS || fromMs > endedMs + (endedMs - beganMs))
  })
)

const TIMES = 3

/**
 * A case about words in real time. One that fails while this process stood still is played anew, in a scope of its own, twice at most: what is
 * wrong without that is wrong at once, and what is always wrong stays so.
 */
export const played = <A, E, R>(play: Effect.Effect<A, E, R | Scope.Scope>, times = TIMES): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const standstill = yield* watch
    const exit = yield* Effect.exit(Effect.scoped(play))
    return { exit, isBlamed: standstill.stoodMs() > 0 }
  }).pipe(
    Effect.scoped,
    Effect.flatMap(({ exit, isBlamed }) =>
      exit._tag === "Failure" && isBlamed && times > 1 ? played(play, times - 1) : exit
    )
  )
