/**
 * What this runner has to do, in voices: what its calls are known to be, or what its process uses of a core where that is more.
 */
import { Clock, Effect, type Scope } from "effect"
import type { CallWork } from "../domain/Placement.ts"
import type { CallStatus } from "../services/Calls.ts"

/** A voice in a call, of a core (README, one speaker: 0.9 % with the call around it). */
const CORE_PER_VOICE = 0.008
/** Until it is known who speaks in a call. */
export const EXPECTED = 2
/** Voices: a call that nobody speaks in is not nothing. */
const CALL = 1
/** Of what was used before, at each second. */
const KEPT = 0.9
/** What a process uses while it starts is no reason to give its calls away. */
const STARTED_AFTER = "20 seconds"

/** Of this process so far. */
export const cpuMs = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}

/** All that the process does, streams and requests included; as a number of voices, 0 until it has started. Read at any time. */
export const make = Effect.fnUntraced(function* (
  cpuMs: () => number
): Effect.fn.Return<() => number, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const readNow = () => ({ cpuMs: cpuMs(), atMs: Number(clock.monotonicTimeNanosUnsafe()) / 1e6 })
  let cores = 0
  yield* Effect.gen(function* () {
    yield* Effect.sleep(STARTED_AFTER)
    let before = readNow()
    return yield* Effect.sync(() => {
      const read = readNow()
      const elapsedMs = read.atMs - before.atMs
      if (elapsedMs <= 0) return
      cores = KEPT * cores + ((1 - KEPT) * (read.cpuMs - before.cpuMs)) / elapsedMs
      before = read
      // The first second is over before it is looked at: in the instant between two looks a process uses all of a core.
    }).pipe(Effect.delay("1 second"), Effect.forever)
  }).pipe(Effect.forkScoped)
  return () => cores / CORE_PER_VOICE
})

export const workOf = ({ room, speakers, state }: CallStatus): CallWork => ({
  room,
  work: state === "Connecting" ? EXPECTED : Math.max(CALL, speakers)
})

/**
 * What this runner does in all, and what its own calls are of that. What is used beyond what is known of them, and of what is heard for
 * others, is theirs: otherwise none would be too large to move, and all would.
 */
export const shared = (
  known: ReadonlyArray<CallWork>,
  forOthers: ReadonlyArray<CallWork>,
  used: number
): { readonly work: number; readonly calls: ReadonlyArray<CallWork> } => {
  const sum = [...known, ...forOthers].reduce((all, call) => all + call.work, 0)
  const work = Math.max(used, sum)
  return { work, calls: known.map((call) => ({ ...call, work: (call.work * work) / sum })) }
}
