/**
 * When this process stood still, which is Talk, engine and speaker to the services of a test: a busy machine. What was a word is none if half of it
 * comes late, and who heard nothing of an engine or an HPB for seconds is about to try another.
 */
import { Effect, type Scope } from "effect"

const BEAT_MS = 20
/** A network that stands still for less costs no word. */
const STALL_MS = 250

export interface Standstill {
  /** Whether all went on from this moment to that, in ms since 1970. After so long as the process stood still all is as it was. */
  readonly wasWhole: (fromMs: number, toMs: number) => boolean
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
  ({ stalls }) => ({
    wasWhole: (fromMs, toMs) =>
      stalls.every(({ beganMs, endedMs }) => toMs < beganMs || fromMs > endedMs + (endedMs - beganMs))
  })
)
