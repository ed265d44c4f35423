/**
 * Stillness: when this process did not run. People's packets then left late and in a burst, later than any jitter buffer waits: what they said
 * at such a moment is spoilt by this machine, and not by a fault.
 */
import { Effect, type Scope } from "effect"
import { machineMs } from "../../../test/talk/HpbClient.ts"

export interface Still {
  readonly fromMs: number
  readonly untilMs: number
}

const TICK_MS = 20
/** The service takes a voice for silent after 120 ms, less what a packet is underway and a tick is late. */
const SPOILS_MS = 80

/** Noted for as long as the scope. */
export const watch: Effect.Effect<ReadonlyArray<Still>, never, Scope.Scope> = Effect.gen(function* () {
  const found: Array<Still> = []
  let lastMs = machineMs()
  const tick = () => {
    const now = machineMs()
    if (now - lastMs > TICK_MS + SPOILS_MS) found.push({ fromMs: lastMs, untilMs: now })
    lastMs = now
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(tick, TICK_MS)),
    (timer) => Effect.sync(() => clearInterval(timer))
  )
  return found
})
