/**
 * What it means that the runner that has a call does not answer whoever was to take it.
 */
import { Effect, Schedule } from "effect"
import type { Seat } from "../domain/Seat.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import * as RunnerReach from "./RunnerReach.ts"

/** Its last words take no longer. */
const WITHIN = "2 seconds"
const LOOK = "100 millis"

/**
 * Whether it has certainly ended. One that has said that it ends is waited for: nobody else asks for its calls, and where the database is away
 * nobody would find them.
 */
export const isGone = (fleet: RunnerFleet.RunnerFleet, giver: Seat): Effect.Effect<boolean> => {
  const known = fleet.peers().find(({ incarnation }) => incarnation === giver.incarnation)
  const isNow = Effect.flatMap(fleet.hasEnded(giver), (has) =>
    // what it said a moment ago is no proof that it is still there
    has ? Effect.succeed(true) : RunnerReach.isDeserted(giver.address)
  )
  if (known?.presence.isEnding === false) return isNow
  return isNow.pipe(
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced(LOOK) }),
    Effect.timeoutOrElse({ duration: WITHIN, orElse: () => Effect.succeed(false) })
  )
}
