/**
 * What a runner knows of a room it has, takes or gives: state of `SeatKeeping`, which alone changes it.
 */
import type { Seat } from "../domain/Seat.ts"
import type { RunningCall } from "./CallSeat.ts"

export interface HeldSeat {
  seat: Seat
  /** Whose it was. */
  readonly before: Seat | undefined
  /** Not before a claim was answered and what is wanted is known. */
  isOurs: boolean
  /** Whoever has it until it is given. */
  takenFrom: Seat | undefined
  /** Since when another runner gets, or has, what it needs to go on; monotonic. */
  givenMs: number | undefined
  /** Somebody may be about to take it; monotonic. */
  goesUntilMs: number
  running: RunningCall | undefined
  isRun: boolean
}

/** Of a seat that is about to be claimed; `isAlive`: whoever had it `before` still runs the call. */
export const make = (seat: Seat, before: Seat | undefined, isAlive: boolean): HeldSeat => ({
  seat,
  before,
  isOurs: false,
  takenFrom: isAlive ? before : undefined,
  givenMs: undefined,
  goesUntilMs: 0,
  running: undefined,
  isRun: false
})

/** From now on it is ours, and so are clicks: not before all that is wanted is known, or one that takes a wish back would find none. */
export const become = (mine: HeldSeat): void => {
  mine.takenFrom = undefined
  mine.isOurs = true
}
