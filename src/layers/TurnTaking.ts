/**
 * Turn-taking: Talk's page only continues the last block, so speakers whose captions meet on somebody's screen take turns.
 *
 * Whoever has a block open keeps the turn until its clause ends; somebody who waits does so for at most `turnWaitMs`, counted from
 * the moment it asked. Plain and synchronous; time is an argument. It knows nothing of text: it says who is to be interrupted, the caller
 * finishes that block and asks again.
 */

/** Longest wait for a turn: longer and captions lag noticeably behind the voices. */
export const turnWaitMs = 1_500

export type Turn =
  | { readonly _tag: "Speak"; readonly waitedMs: number }
  | { readonly _tag: "Wait" }
  | { readonly _tag: "Interrupt"; readonly whom: ReadonlyArray<string> }

/** Whether the captions of two would meet on a screen. */
export type AreRivals = (one: string, other: string) => boolean

export interface TurnTaking {
  /** `who` wants to open a block. `urgent`: it cannot wait, for example because it has left. */
  readonly ask: (
    who: string,
    nowMs: number,
    options: { readonly areRivals: AreRivals; readonly urgent: boolean }
  ) => Turn
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
  /** Since when `who` waits; `undefined` when it does not. */
  readonly waitingSince: (who: string) => number | undefined
  /** When somebody will have waited long enough. */
  readonly deadline: () => number
}

export const make = (): TurnTaking => {
  const open = new Set<string>()
  const waiting = new Map<string, number>()

  const openRivals = (who: string, areRivals: AreRivals) =>
    [...open].filter((other) => other !== who && areRivals(who, other))

  return {
    ask: (who, nowMs, { areRivals, urgent }) => {
      const since = waiting.get(who) ?? nowMs
      const whom = openRivals(who, areRivals)
      if (whom.length === 0) return { _tag: "Speak", waitedMs: nowMs - since }
      waiting.set(who, since)
      return urgent || nowMs - since >= turnWaitMs ? { _tag: "Interrupt", whom } : { _tag: "Wait" }
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
    waitingSince: (who) => waiting.get(who),
    deadline: () => {
      let earliest = Number.POSITIVE_INFINITY
      for (const since of waiting.values()) earliest = Math.min(earliest, since + turnWaitMs)
      return earliest
    }
  }
}
