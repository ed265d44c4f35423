/**
 * When calls move: where one runner has had twice the work of another for a while, and not because of one reading.
 */
import type { RoomToken } from "../domain/Call.ts"
import { balance, ENOUGH, type Move, type RunnerWork, type SeatedCall, TOO_MUCH } from "../domain/Placement.ts"
import type { Incarnation } from "../domain/Seat.ts"

export interface CallBalance {
  /**
   * Asked at each review: the calls that should move now, few at once. They count as moved from then on, whatever is said of them until they
   * have, and stay where they go to for a minute. `runners`: what each says of itself.
   */
  readonly review: (
    calls: ReadonlyArray<SeatedCall>,
    runners: ReadonlyArray<RunnerWork>
  ) => ReadonlyArray<Move & { readonly work: number }>
}

/** Of a runner's work as it was before, at each review: a reading is off by a fifth easily. */
const KEPT = 0.8
/** A large call, once heard, is no reason to move others before the figures have settled. Reviews. */
const UNBALANCED_FOR = 3
const STAYS_MS = 60_000
/** People hear nothing of a move, but each is a join. */
const MOVES_AT_ONCE = 4
/** A call that is still where it was has not moved, and will not. A hand-over waits up to 10 s: for who is not heard, and for an answer. */
const ON_ITS_WAY_MS = 12_000

interface Moved extends Move {
  readonly atMs: number
  readonly work: number
}

/** `now`: monotonic, in milliseconds. */
export const make = (now: () => number): CallBalance => {
  const moved = new Map<RoomToken, Moved>()
  let usual = new Map<Incarnation, number>()
  let unbalanced = 0
  /** What has begun goes on until it is worth it: a fleet that is left close to the limit would be past it again soon. */
  let isBegun = false

  /**
   * Whoever takes a call says so when it has it, and until then the other does. What each says, as if all had moved that are to: seen as it is, a
   * fleet that is slow would be told to move as many again at every review.
   */
  const afterMoves = (
    calls: ReadonlyArray<SeatedCall>,
    runners: ReadonlyArray<RunnerWork>
  ): ReadonlyArray<RunnerWork> => {
    const work = new Map(runners.map((one) => [one.incarnation, one.work]))
    for (const { atMs, from, room, to, work: known } of moved.values()) {
      const call = calls.find((one) => one.room === room && one.runner === from)
      if (call === undefined || now() - atMs > ON_ITS_WAY_MS) continue
      work.set(from, Math.max(0, (work.get(from) ?? 0) - call.work))
      if (work.has(to)) work.set(to, (work.get(to) ?? 0) + known)
    }
    return runners.map(({ incarnation }) => ({ incarnation, work: work.get(incarnation) ?? 0 }))
  }

  const smooth = (runners: ReadonlyArray<RunnerWork>): ReadonlyArray<RunnerWork> => {
    usual = new Map(
      runners.map(({ incarnation, work }) => {
        const before = usual.get(incarnation) ?? work
        return [incarnation, KEPT * before + (1 - KEPT) * work]
      })
    )
    return runners.map(({ incarnation, work }) => ({ incarnation, work: usual.get(incarnation) ?? work }))
  }

  return {
    review: (calls, runners) => {
      for (const [room, { atMs }] of moved) if (now() - atMs > STAYS_MS) moved.delete(room)
      const going = afterMoves(calls, runners)
      const settled = smooth(going)
      const read = new Map(going.map(({ incarnation, work }) => [incarnation, work]))
      const free = calls.flatMap((call) => {
        const [work, whole] = [read.get(call.runner) ?? 0, usual.get(call.runner) ?? 0]
        return moved.has(call.room) || work === 0 ? [] : [{ ...call, work: (call.work * whole) / work }]
      })
      const moves = balance(free, settled, isBegun ? ENOUGH : TOO_MUCH)
      unbalanced = moves.length === 0 ? 0 : unbalanced + 1
      if (unbalanced === 0) isBegun = false
      if (unbalanced < UNBALANCED_FOR) return []
      unbalanced = 0
      isBegun = true
      return moves.slice(0, MOVES_AT_ONCE).map((move) => {
        const work = free.find(({ room }) => room === move.room)?.work ?? 0
        moved.set(move.room, { ...move, work, atMs: now() })
        usual.set(move.from, (usual.get(move.from) ?? 0) - work)
        usual.set(move.to, (usual.get(move.to) ?? 0) + work)
        return { ...move, work }
      })
    }
  }
}
