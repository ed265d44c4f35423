/**
 * Shedding: what one voice does not decode when this process cannot keep up with all who speak.
 *
 * What comes faster than it is decoded waits in the socket, up to 5 s of it; then the system throws away what is new, and captions stay late for
 * as long as the load is near the limit. So a voice that has been behind for a while leaves out what waits, the oldest first, and goes on with
 * what is said now. Every voice does so by itself and by the same rule.
 */
import { Context, Effect } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"

export interface Shedding {
  /** Whether a packet that is handled at `atMs` is to be decoded. In the order they came in. */
  readonly takes: (packet: Pick<RtpPacket, "ssrc" | "timestamp">, atMs: number) => boolean
  /** Packets that were not. */
  readonly shed: () => number
}

/** Later than any hitch of this process or of the network that is over in a moment. */
const BEHIND_MS = 400
/**
 * For so long without a pause: what waits after a standstill of seconds is worked off sooner. Whoever has to do twice what they can is 2 s late by
 * then, and the system throws nothing away before 3.3 s (212,992 bytes, its default, are 256 packets of at most 170 bytes, and 166 of 300).
 */
const PATIENCE_MS = 4_000
const CAUGHT_UP_MS = 100
/** Nobody leaves out more than twice what they are late: where that does not help, their clock has changed. */
const MOST = 2
/** How much faster than ours the clock of a sender may be, generously. */
const DRIFT = 1 / 1000
/** Opus' clock, whatever it was recorded with (RFC 7587). */
const CLOCK_PER_MS = 48

/** For one voice. `isSaturated`: this process has had no pause for a while; whoever is late without that is so by the network, and is heard. */
export const make = (isSaturated: () => boolean): Shedding => {
  /** An object, because a number that closures share is boxed at every change. */
  const last = {
    source: -1,
    timestamp: 0,
    /** Time of arrival less timestamp, modulo 32 bit, of those that came without delay; and when that was looked at. */
    least: 0,
    lookedMs: 0
  }
  let behindSinceMs: number | undefined
  /** While it is shedding: milliseconds that may still be left out. */
  let left = 0
  let shed = 0

  const goOn = () => {
    left = 0
    behindSinceMs = undefined
    return true
  }
  const leaveOut = () => {
    shed++
    return false
  }
  return {
    takes: ({ ssrc, timestamp }, atMs) => {
      const transit = (Math.floor(atMs * CLOCK_PER_MS) - timestamp) | 0
      last.least += (atMs - last.lookedMs) * CLOCK_PER_MS * DRIFT
      last.lookedMs = atMs
      const lateMs = ((transit - last.least) | 0) / CLOCK_PER_MS
      const soundMs = ((timestamp - last.timestamp) | 0) / CLOCK_PER_MS
      last.timestamp = timestamp
      if (ssrc !== last.source || lateMs <= 0) {
        last.source = ssrc
        last.least = transit
        return goOn()
      }
      if (lateMs < (left > 0 ? CAUGHT_UP_MS : BEHIND_MS)) return goOn()
      // asked before it counts: it looks at the time since it was asked last
      const isBusy = isSaturated()
      behindSinceMs ??= atMs
      if (left > 0) {
        left -= Math.max(0, soundMs)
        if (left > 0) return leaveOut()
        last.least = transit
        return goOn()
      }
      if (!isBusy || atMs - behindSinceMs < PATIENCE_MS) return true
      left = MOST * lateMs
      return leaveOut()
    },
    shed: () => shed
  }
}

/** Of the event loop's time. */
const BUSY = 0.95
const LOOK_MS = 1_000

/** Whether this thread's event loop has been busy without a pause since it was asked last, a second ago or more. */
const eventLoopIsBusy = (): (() => boolean) => {
  let since = performance.eventLoopUtilization()
  let lookedMs = performance.now()
  let isBusy = false
  return () => {
    const atMs = performance.now()
    if (atMs - lookedMs < LOOK_MS) return isBusy
    const until = performance.eventLoopUtilization()
    isBusy = performance.eventLoopUtilization(until, since).utilization >= BUSY
    since = until
    lookedMs = atMs
    return isBusy
  }
}

/** One for all voices of a process. */
export const Saturated: Context.Reference<() => boolean> = Context.Reference<() => boolean>(
  "parlance/layers/Shedding/Saturated",
  { defaultValue: eventLoopIsBusy }
)

/** So often at most it is said that audio is left out. */
const WARN_EVERY_MS = 60_000

/** For the log of a call: looks whether any of its voices was shed since the last look. */
export const warning = (room: RoomToken, now: () => number, isShedding: () => boolean): Effect.Effect<void> => {
  let warnedMs = Number.NEGATIVE_INFINITY
  return Effect.suspend(() => {
    if (!isShedding() || now() - warnedMs < WARN_EVERY_MS) return Effect.void
    warnedMs = now()
    return Effect.logWarning("more is spoken than this process can decode: the oldest of it is left out", { room })
  })
}
