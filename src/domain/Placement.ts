/**
 * Which runner runs which call: new calls go to who has the least to do, and calls move only where one runner has twice the work of another.
 */
import type { RoomToken } from "./Call.ts"
import type { Incarnation } from "./Seat.ts"

/** What a runner has to do, all its calls included. Work is counted in voices: any unit will do that is the same everywhere. */
export interface RunnerWork {
  readonly incarnation: Incarnation
  readonly work: number
}

export interface CallWork {
  readonly room: RoomToken
  readonly work: number
}

export interface SeatedCall extends CallWork {
  readonly runner: Incarnation
}

export interface Move {
  readonly room: RoomToken
  readonly from: Incarnation
  readonly to: Incarnation
}

/** A runner with this many times the work of another gives calls away. Moving one costs more than a difference that nobody notices. */
export const TOO_MUCH = 2
/** Calls that move anyway leave no more than this: what is closer to the limit would be past it again with the next reading. */
export const ENOUGH = 1.5
/** Of the difference between two runners: a larger call would only change which of the two has more. */
const LARGEST = 0.75
/** Voices. What differs by less is not worth a move. */
const WORTH_IT = 2

/** Who has the least to do; of several the first. `undefined`: there is nobody. */
export const leastBusy = (runners: ReadonlyArray<RunnerWork>): Incarnation | undefined =>
  runners.reduce<RunnerWork | undefined>(
    (least, one) => (least === undefined || one.work < least.work ? one : least),
    undefined
  )?.incarnation

/** Where calls go that nobody runs: the largest first, each to who has the least to do by then. Without runners nothing goes anywhere. */
export const spread = (
  calls: ReadonlyArray<CallWork>,
  runners: ReadonlyArray<RunnerWork>
): ReadonlyArray<{ readonly room: RoomToken; readonly to: Incarnation }> => {
  const work = new Map(runners.map((runner) => [runner.incarnation, runner.work]))
  return calls
    .toSorted((one, other) => other.work - one.work)
    .flatMap(({ room, work: more }) => {
      const to = leastBusy(listOf(work))
      if (to === undefined) return []
      work.set(to, (work.get(to) ?? 0) + more)
      return [{ room, to }]
    })
}

/**
 * The calls that should move, so that no runner has more than `tooMuch` times the work of another where that is possible: a call that is as
 * large as the difference stays where it is. As few as that takes; none where nobody is busy.
 */
export const balance = (
  calls: ReadonlyArray<SeatedCall>,
  runners: ReadonlyArray<RunnerWork>,
  tooMuch = TOO_MUCH
): ReadonlyArray<Move> => {
  const work = new Map(runners.map((runner) => [runner.incarnation, runner.work]))
  const stay = [...calls]
  const moves: Array<Move> = []
  for (;;) {
    const move = nextMove(stay, listOf(work), moves.length === 0 ? tooMuch : Math.min(ENOUGH, tooMuch))
    if (move === undefined) return moves
    const { call, to } = move
    work.set(call.runner, (work.get(call.runner) ?? 0) - call.work)
    work.set(to, (work.get(to) ?? 0) + call.work)
    // Each call moves once at most.
    stay.splice(stay.indexOf(call), 1)
    moves.push({ room: call.room, from: call.runner, to })
  }
}

/** From the busiest runner that has a call small enough, the one that brings it and the least busy runner closest together. */
const nextMove = (calls: ReadonlyArray<SeatedCall>, runners: ReadonlyArray<RunnerWork>, tooMuch: number) => {
  const [least, ...others] = runners.toSorted((one, other) => one.work - other.work)
  if (least === undefined) return undefined
  for (const most of others.toReversed()) {
    const difference = most.work - least.work
    if (difference < WORTH_IT || most.work <= least.work * tooMuch) return undefined
    const small = calls.filter(
      (call) => call.runner === most.incarnation && call.work > 0 && call.work <= difference * LARGEST
    )
    const [best] = small.toSorted(
      (one, other) => Math.abs(difference - 2 * one.work) - Math.abs(difference - 2 * other.work)
    )
    if (best !== undefined) return { call: best, to: least.incarnation }
  }
  return undefined
}

const listOf = (work: ReadonlyMap<Incarnation, number>): ReadonlyArray<RunnerWork> =>
  [...work].map(([incarnation, done]) => ({ incarnation, work: done }))
