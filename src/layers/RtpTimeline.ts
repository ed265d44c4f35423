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
/** A sender's clock that falls back so far behind ours was set anew. Stalls of the network stay below. */
const MAX_DEVIATION = 60_000 * TICKS_PER_MS
/** No packet arrives before it was sent: one that is ahead of the fastest so far by more than this is of a clock that was set anew. */
const MAX_LEAD = 2_000 * TICKS_PER_MS
/** Clocks that differ by less are as good as equal. Real ones differ by 200 ppm at most. */
const DRIFT = 0.001
/** Where the arrival of a new time base leaves a gap of less, there is none: packets arrive a little too late, not too early. */
const JITTER = 60 * TICKS_PER_MS

/**
 * Makes the clock of one voice. A timestamp counts as far as its arrival allows, whatever its wrap-arounds and however far the clocks have
 * drifted apart; a new SSRC, a step back or a jump ahead of arrival is a new time base, which goes on where its arrival puts it.
 */
export const make = (): RtpTimeline => {
  let end = 0
  /** The last packet placed; an object, because a number that closures share is boxed at every change. */
  const last = {
    /** SSRC; negative before the first. */
    source: -1,
    start: 0,
    timestamp: 0,
    atMs: 0,
    /** How much longer it was under way than the fastest of late. */
    delay: 0
  }

  const advance = (timestamp: number, ssrc: number, atMs: number): number => {
    if (last.source < 0) return 0
    // Even, so that every tick count stays a whole number of 24 kHz samples.
    const elapsed = Math.max(0, 2 * Math.round(((atMs - last.atMs) * TICKS_PER_MS) / 2))
    // What 32 bit can tell apart is the disagreement with the clock of arrival; pauses may last longer than the 24.8 h of a wrap.
    const deviation = (timestamp - last.timestamp - elapsed) | 0
    const next = last.start + elapsed + deviation
    const isAhead = deviation > last.delay + MAX_LEAD + elapsed * DRIFT
    last.delay = Math.max(0, last.delay - deviation - elapsed * DRIFT)
    if (ssrc === last.source && next >= end - MAX_TICKS && deviation >= -MAX_DEVIATION && !isAhead) return next
    last.delay = 0
    const arrived = last.start + elapsed
    return arrived < end + JITTER ? end : arrived
  }

  return {
    place: (timestamp, ssrc, atMs) => {
      const start = advance(timestamp, ssrc, atMs)
      last.source = ssrc
      last.start = start
      last.timestamp = timestamp
      last.atMs = atMs
      return start
    },
    extend: (ticks) => {
      end = Math.max(end, last.start + ticks)
    },
    end: () => end
  }
}
