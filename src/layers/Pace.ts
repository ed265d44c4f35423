/**
 * Pace: how far the audio an engine was sent is ahead of what it can have taken.
 */
import { type AudioFrame, msOfSamples } from "../domain/Audio.ts"

/** Live audio comes in bursts after a hitch of the network; no engine minds that much at once. */
const ALLOWANCE_MS = 1_000
/** After a wait there is room for four frames: one timer for them, not one for each. */
const ROOM_MS = 320

export interface Pace {
  /** A frame was sent. */
  readonly sent: (frame: AudioFrame) => void
  /** Until the engine has taken what it was sent. */
  readonly idleInMs: () => number
  /** Until the next frame may be sent, ms; 0 while the engine is less than a second behind. */
  readonly waitMs: () => number
}

/** The pace of one session with an engine that takes `speed` times real time. Speech as it is spoken never waits. */
export const make = (speed: number, now: () => number): Pace => {
  let aheadMs = 0
  let atMs = now()
  const ahead = () => {
    const nowMs = now()
    aheadMs = Math.max(0, aheadMs - (nowMs - atMs) * speed)
    atMs = nowMs
    return aheadMs
  }
  return {
    sent: ({ pcm }) => {
      aheadMs = ahead() + msOfSamples(pcm.length)
    },
    idleInMs: () => ahead() / speed,
    waitMs: () => (ahead() < ALLOWANCE_MS ? 0 : (aheadMs - ALLOWANCE_MS + ROOM_MS) / speed)
  }
}
