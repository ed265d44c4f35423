/**
 * EngineMark: how far a session has proved itself. Adapters tell what is proven while they read, and emit what comes of it among their
 * events; whoever asks for the mark sees only what the reader has taken.
 */
import type { SpeechEvent } from "../domain/Speech.ts"

export interface EngineMark {
  /**
   * What was said before `position` (24 kHz) is in the certain words of the events before this, and nothing of what lies behind it. Gives the
   * `Marked` to emit at this place; nothing when that is no step forward, or behind a loss.
   */
  readonly reach: (position: number) => ReadonlyArray<SpeechEvent>
  /** What was sent from `position` on did not arrive: nothing behind it is ever proven. */
  readonly lose: (position: number) => void
  /** The reader has taken everything that was emitted. */
  readonly settle: () => void
  /** The newest that the reader has taken; 0 before. */
  readonly position: () => number
}

/** The mark of a session that has said nothing. */
export const make = (): EngineMark => {
  let reached = 0
  let taken = 0
  let lostAt = Number.POSITIVE_INFINITY
  return {
    reach: (position) => {
      if (position <= reached || position > lostAt) return []
      reached = position
      return [{ _tag: "Marked", position }]
    },
    lose: (position) => {
      lostAt = Math.min(lostAt, position)
    },
    settle: () => {
      taken = reached
    },
    position: () => taken
  }
}
