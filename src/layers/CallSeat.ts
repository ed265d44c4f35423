/**
 * A call that runs on one of several runners: as what, in whose stead, and how another goes on with it.
 */
import { type Effect, Schema } from "effect"
import type * as HandOver from "../domain/HandOver.ts"
import type { Incarnation, Rank } from "../domain/Seat.ts"

export interface CallSeat {
  /** Announced in the room: captions of a lower rank stop there. */
  readonly rank: Rank
  /** Whose seat it was before, as far as is known: what its process left of the call is said first if it is gone. */
  readonly before?: Incarnation
  /**
   * A session of ours with a higher rank is in the room. Called once, synchronously: not a caption is sent from then on, the room is left
   * with a bye, and the program returns although the call is wanted.
   */
  readonly onOutranked: (by: Rank) => void
  /** The call runs, and can be given away; not called again for the same run of the program. */
  readonly onRunning?: (running: RunningCall) => void
  /** Another runner is about to take the call, and has looked at who hears whom: voices stay where they are. */
  readonly isGoing?: () => boolean
  /** Where another runner still has the call: nothing is announced or said before it was asked. Absent: it is taken as it is. */
  readonly takeOver?: TakeOver
}

/** For the runner that gives. */
export interface RunningCall {
  /**
   * From now on nothing is said here; what is given is for whoever goes on. The call is left when that one announces its higher rank.
   * Without that announcement within `HAND_OVER_MS` this one goes on itself, and nothing was lost. May be repeated until then: what there
   * is by then is given. Completes within 2 s.
   */
  readonly handOver: Effect.Effect<HandOver.Left, HandOverRefused>
}

/** It goes on here. */
export class HandOverRefused extends Schema.TaggedError<HandOverRefused>()("HandOverRefused", {
  /** `NotHeard`: the room is not joined, or the HPB is away. `Over`: the call ends anyway. */
  reason: Schema.Literals(["NotHeard", "Over"])
}) {
  override get message() {
    return `the call is not given away: ${this.reason}`
  }
}

/** For the runner that takes. */
export interface TakeOver {
  /**
   * Run once, as soon as everybody who is to be heard is heard here (within 5 s at the latest). Has to complete within
   * `HAND_OVER_MS` of the moment in which the other was asked; later than that the other goes on, as after `Stays`.
   */
  readonly ask: Effect.Effect<Answer>
}

/**
 * - `Given`: this one goes on exactly behind what the other has heard.
 * - `Gone`: there is nobody to ask any more; this one takes the call as it is, with what the journal of `before` says.
 * - `Stays`: the other goes on; this one leaves without having said anything, and the program returns.
 */
export type Answer =
  | { readonly _tag: "Given"; readonly left: HandOver.Left }
  | { readonly _tag: "Gone" }
  | { readonly _tag: "Stays" }

/** How long whoever gives waits for the other to announce itself. */
export const HAND_OVER_MS = 5_000
