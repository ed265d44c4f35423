/**
 * A bad connection between a microphone and Janus: packets come in bursts, now and then one overtakes another. Nothing is lost.
 */
import type { RtpPacket } from "werift"

/** Every packet is late by up to this, ms: the Wi-Fi of a hotel. */
const JITTER_MS = 70
/** One in so many is overtaken by the one behind it. */
const SWAPPED = 40

/** Hands packets on late, in order but for those overtaken. */
export const through = (write: (packet: RtpPacket) => void): ((packet: RtpPacket) => void) => {
  let lastMs = 0
  let count = 0
  let held: RtpPacket | undefined
  const send = (packet: RtpPacket, now: number) => {
    lastMs = Math.max(lastMs, now + Math.random() * JITTER_MS)
    setTimeout(write, lastMs - now, packet)
  }
  return (packet) => {
    const now = performance.now()
    count += 1
    if (count % SWAPPED === 0) {
      held = packet
      return
    }
    send(packet, now)
    if (held !== undefined) send(held, now)
    held = undefined
  }
}
