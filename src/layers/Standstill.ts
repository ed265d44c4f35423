/**
 * Standstill: a process that did not run (a busy machine, a suspended container) must not take its own absence for somebody else's silence.
 */
import { Effect } from "effect"

/** Timers are late by this much only when the process stood still. */
const LATE_MS = 250

/** Whether what was due so many ms ago was missed by this process. */
export const isMissed = (lateMs: number): boolean => lateMs >= LATE_MS

/** Sleeps, and tells whether the process stood still meanwhile: what others have sent is then still to be read. */
export const sleep = (ms: number, now: () => number): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const dueMs = now() + ms
    return Effect.map(Effect.sleep(ms), () => isMissed(now() - dueMs))
  })
