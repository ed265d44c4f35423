/**
 * Turn-taking: Talk's page only continues the last block, so speakers whose captions meet on somebody's screen take turns.
 *
 * Whoever has a block open keeps the turn until its clause ends; somebody who waits does so for at most `turnWaitMs`, counted from
 * its first word. Plain and synchronous; time is an argument. It knows nothing of text: it says who is to be interrupted, the caller
 * finishes that block and asks again.
 */

/** Longest wait for a turn: longer and captions lag noticeably behind the voices. */
export const turnWaitMs = 1_500

export type Turn =
  | { readonly _tag: "Speak" }
  | { readonly _tag: "Wait" }
  | { readonly _tag: "Interrupt"; readonly whom: ReadonlyArray<string> }

/** Whether the captions of two would meet on a screen. */
export type AreRivals = (one: string, other: string) => boolean

export interface Wish {
  readonly sinceMs: number
  readonly areRivals: AreRivals
}

export interface TurnTaking {
  /** `who` wants to open a block with words it has had since `sinceMs`. */
  readonly ask: (who: string, nowMs: number, wish: Wish) => Turn
  /** The block of `who` is on the screen. */
  readonly opened: (who: string) => void
  /** The block of `who` was finished. */
  readonly ended: (who: string) => void
  /** `who` has nothing to say any more. */
  readonly withdrew: (who: string) => void
  /** Others with open blocks; more than one can only be open after the readers changed. */
  readonly openRivals: (who: string, areRivals: AreRivals) => ReadonlyArray<string>
  /** Somebody waits for `who` to end. */
  readonly isContested: (who: string, areRivals: AreRivals) => boolean
  readonly isWaiting: (who: string) => boolean
  /** When somebody will have waited long enough; who already has is not counted: only another event can help. */
  readonly deadline: (nowMs: number) => number
}

export const make = (): TurnTaking => {
  const open = new Set<string>()
  const waiting = new Map<string, number>()

  const openRivals = (who: string, areRivals: AreRivals) =>
    [...open].filter((other) => other !== who && areRivals(who, other))

  return {
    ask: (who, nowMs, { areRivals, sinceMs }) => {
      const since = waiting.get(who) ?? sinceMs
      const whom = openRivals(who, areRivals)
      if (whom.length === 0) return { _tag: "Speak" }
      waiting.set(who, since)
      return nowMs - since >= turnWaitMs ? { _tag: "Interrupt", whom } : { _tag: "Wait" }
    },
    opened: (who) => {
      open.add(who)
      waiting.delete(who)
    },
    ended: (who) => {
      open.delete(who)
      waiting.delete(who)
    },
    withdrew: (who) => {
      waiting.delete(who)
    },
    openRivals,
    isContested: (who, areRivals) => [...waiting.keys()].some((other) => other !== who && areRivals(who, other)),
    isWaiting: (who) => waiting.has(who),
    deadline: (nowMs) => {
      let earliest = Number.POSITIVE_INFINITY
      for (const since of waiting.values()) {
        if (since + turnWaitMs > nowMs) earliest = Math.min(earliest, since + turnWaitMs)
      }
      return earliest
    }
  }
}
