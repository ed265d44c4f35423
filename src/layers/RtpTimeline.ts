/**
 * The audio clock of one voice: RTP timestamps, as senders make them, become ticks since the voice began that never go back.
 */
import { RTP_CLOCK_RATE } from "../domain/Audio.ts"

export interface RtpTimeline {
  /** Ticks (48 kHz) at which a packet begins: at or after `end`. Packets must come in the order they were sent in. */
  readonly place: (timestamp: number, ssrc: number, atMs: number) => number
  /** The packet just placed lasts this long. */
  readonly extend: (ticks: number) => void
  /** Where the last packet ended. */
  readonly end: () => number
}

const TICKS_PER_MS = RTP_CLOCK_RATE / 1000
/** A sender's clock this far from ours was set anew. Pauses and stalls stay below, and a pause that exceeds it is dated by its arrival. */
const MAX_DEVIATION = 60_000 * TICKS_PER_MS

/**
 * Makes the clock of one voice. A timestamp counts as far as it agrees with the time of arrival to within a minute, whatever its
 * wrap-arounds; a new SSRC, a step back or a greater disagreement is a new time base, which goes on where its arrival puts it.
 */
export const make = (): RtpTimeline => {
  let source: number | undefined
  let end = 0
  let start = 0
  /** Timestamp that belongs to `end`. */
  let expected = 0
  let lastMs = 0

  const advance = (timestamp: number, ssrc: number, atMs: number): number => {
    if (source === undefined) return 0
    // Even, so that every tick count stays a whole number of 24 kHz samples.
    const elapsed = Math.max(0, 2 * Math.round(((atMs - lastMs) * TICKS_PER_MS) / 2) - (end - start))
    // What 32 bit can tell apart is the disagreement with the clock of arrival; pauses may last longer than the 24.8 h of a wrap.
    const deviation = (timestamp - expected - elapsed) | 0
    const ticks = deviation + elapsed
    return ssrc !== source || ticks < 0 || Math.abs(deviation) > MAX_DEVIATION ? elapsed : ticks
  }

  return {
    place: (timestamp, ssrc, atMs) => {
      start = end + advance(timestamp, ssrc, atMs)
      end = start
      source = ssrc
      expected = timestamp
      lastMs = atMs
      return start
    },
    extend: (ticks) => {
      end = start + ticks
      expected = (expected + ticks) >>> 0
    },
    end: () => end
  }
}
