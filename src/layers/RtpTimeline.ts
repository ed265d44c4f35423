/**
 * The audio clock of one voice: RTP timestamps, as senders make them, become ticks since the voice began that never go back.
 */
import { RTP_CLOCK_RATE } from "../domain/Audio.ts"
import { MAX_TICKS } from "./OpusPacket.ts"

export interface RtpTimeline {
  /**
   * Ticks (48 kHz) at which a packet begins. Packets must come in the order they were sent in. At or after `end`, except that a packet of
   * a wrong length may reach into the next by up to 120 ms: time does not move for that.
   */
  readonly place: (timestamp: number, ssrc: number, atMs: number) => number
  /** The packet just placed lasts this long. */
  readonly extend: (ticks: number) => void
  /** Where the audio placed so far ends. */
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
  let end = 0
  // The last packet placed.
  let source: number | undefined
  let start = 0
  let lastTimestamp = 0
  let lastMs = 0

  const advance = (timestamp: number, ssrc: number, atMs: number): number => {
    if (source === undefined) return 0
    // Even, so that every tick count stays a whole number of 24 kHz samples.
    const elapsed = Math.max(0, 2 * Math.round(((atMs - lastMs) * TICKS_PER_MS) / 2))
    // What 32 bit can tell apart is the disagreement with the clock of arrival; pauses may last longer than the 24.8 h of a wrap.
    const deviation = (timestamp - lastTimestamp - elapsed) | 0
    const next = start + elapsed + deviation
    const isNewBase = ssrc !== source || next < end - MAX_TICKS || Math.abs(deviation) > MAX_DEVIATION
    return isNewBase ? Math.max(end, start + elapsed) : next
  }

  return {
    place: (timestamp, ssrc, atMs) => {
      start = advance(timestamp, ssrc, atMs)
      source = ssrc
      lastTimestamp = timestamp
      lastMs = atMs
      return start
    },
    extend: (ticks) => {
      end = Math.max(end, start + ticks)
    },
    end: () => end
  }
}
