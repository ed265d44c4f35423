/**
 * The beat by which microphones deliver: every 20 ms, caught up with after a stall of this process, which is noted.
 */
import { machineMs } from "./HpbClient.ts"

const FRAME_MS = 20
/** What a jitter buffer would hide without a trace. */
const STALL_MS = 60

const beats = new Set<() => void>()
const stalled: Array<{ readonly atMs: number; readonly lateMs: number }> = []
let timer: NodeJS.Timeout | undefined
let nextMs = 0

const tick = () => {
  const now = performance.now()
  if (now - nextMs > STALL_MS) stalled.push({ atMs: machineMs(), lateMs: Math.round(now - nextMs) })
  // After a second away, as when a laptop wakes, nobody wants what was missed.
  if (now - nextMs > 1000) nextMs = now
  while (nextMs <= now) {
    for (const beat of beats) beat()
    nextMs += FRAME_MS
  }
}

/** Calls `beat` every 20 ms from now on. */
export const start = (beat: () => void): void => {
  beats.add(beat)
  if (timer !== undefined) return
  nextMs = performance.now()
  timer = setInterval(tick, 5)
}

export const stop = (beat: () => void): void => {
  beats.delete(beat)
  if (beats.size > 0) return
  clearInterval(timer)
  timer = undefined
}

/** When this process was late by more than 60 ms since last asked: packets then left in a burst. */
export const stalls = (): ReadonlyArray<{ readonly atMs: number; readonly lateMs: number }> => stalled.splice(0)
