/**
 * EngineLag: how far an engine is behind what it was sent, and whether it will ever catch up. Plain and synchronous; time is an argument.
 */
import { type AudioFrame, msOfSamples } from "../domain/Audio.ts"

/** A caption so late no longer belongs to what is seen. */
const FAR_BEHIND_MS = 5_000
/** It has been that far behind for so long, and has not come nearer. */
const HOPELESS_MS = 3_000

export interface EngineLag {
  readonly sent: (frame: AudioFrame) => void
  /** It has computed what lies before `position` (samples). */
  readonly progressed: (position: number) => void
  /** Audio that it was sent and has not computed, ms. */
  readonly lagMs: () => number
  /** It falls further and further behind speech that it is sent as it is spoken. To be asked about once a second. */
  readonly isFallingBehind: (nowMs: number) => boolean
}

/** The lag of a session that was sent nothing yet. */
export const make = (): EngineLag => {
  /** Where frames end that are not computed; as many as were sent meanwhile. */
  const waiting: Array<{ readonly end: number; readonly ms: number }> = []
  let lagMs = 0
  let sinceMs: number | undefined
  let lagThenMs = 0
  return {
    sent: ({ pcm, position }) => {
      const ms = msOfSamples(pcm.length)
      waiting.push({ end: position + pcm.length, ms })
      lagMs += ms
    },
    progressed: (position) => {
      for (let [first] = waiting; first !== undefined && first.end <= position; [first] = waiting) {
        waiting.shift()
        lagMs -= first.ms
      }
    },
    lagMs: () => lagMs,
    isFallingBehind: (nowMs) => {
      if (lagMs < FAR_BEHIND_MS || (sinceMs !== undefined && lagMs < lagThenMs)) sinceMs = undefined
      if (lagMs < FAR_BEHIND_MS) return false
      if (sinceMs === undefined) {
        sinceMs = nowMs
        lagThenMs = lagMs
      }
      return nowMs - sinceMs >= HOPELESS_MS
    }
  }
}
