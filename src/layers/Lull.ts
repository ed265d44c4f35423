/**
 * Tells a speaker who stopped from a process that stood still: both look like sound that does not come.
 */

export interface Lull {
  /** Ticks come from this moment on: those that did not come before were not missed. */
  readonly attend: (atMs: number) => void
  /** Sound came, and more of it is due at this moment of the monotonic clock. */
  readonly expect: (dueAtMs: number) => void
  /** On every tick, first: whether this process did not run since the last one. What was sent meanwhile is about to come. */
  readonly hasStalled: (atMs: number) => boolean
  /** Whether what was due is late by that much. */
  readonly isOver: (atMs: number, patienceMs: number) => boolean
}

/** Ticks come every 20 ms: so late means that this process did not run (garbage collection, a busy machine). */
const STALLED_MS = 60

export const make = (): Lull => {
  /** An object, because a number that closures share is boxed at every change. */
  const due = {
    atMs: 0,
    /** What came before this process stood still may be heard only now: nothing was due before that was over. */
    notBeforeMs: Number.NEGATIVE_INFINITY
  }
  let tickedAtMs: number | undefined
  return {
    attend: (atMs) => {
      tickedAtMs = atMs
    },
    expect: (atMs) => {
      due.atMs = Math.max(atMs, due.notBeforeMs)
    },
    hasStalled: (atMs) => {
      const slept = atMs - (tickedAtMs ?? atMs)
      tickedAtMs = atMs
      if (slept <= STALLED_MS) return false
      // Timers run before sockets are read.
      due.atMs += slept
      due.notBeforeMs = atMs
      return true
    },
    isOver: (atMs, patienceMs) => atMs - due.atMs >= patienceMs
  }
}
