/**
 * What was streamed today in all runners: what one that begins has to know.
 */
import type { Spent } from "./Messages.ts"

export interface SpentTotals {
  /** What a runner has found written down. It counts where it is of a later day, or where nobody has begun; gives what counts. */
  readonly begin: (found: Spent) => Spent
  /** What was streamed since the last time. */
  readonly add: (spent: Spent) => void
}

export const make = (): SpentTotals => {
  let day = Number.NEGATIVE_INFINITY
  const totals = new Map<string, number>()
  const turn = (to: number) => {
    if (to <= day) return false
    day = to
    totals.clear()
    return true
  }
  return {
    begin: (found) => {
      if (turn(found.day)) for (const [subject, seconds] of found.seconds) totals.set(subject, seconds)
      return { day, seconds: [...totals] }
    },
    add: (spent) => {
      turn(spent.day)
      if (spent.day !== day) return
      for (const [subject, seconds] of spent.seconds) totals.set(subject, (totals.get(subject) ?? 0) + seconds)
    }
  }
}
