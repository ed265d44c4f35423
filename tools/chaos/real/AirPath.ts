/**
 * The way of a voice's packets to the SFU: good, or with the habits of a bad network for a while. Nothing is lost on it.
 */
import type { RtpPacket } from "werift"
import type { Air } from "./Stage.ts"

/** Every packet is late by up to this, ms: the Wi-Fi of a hotel. */
const JITTER_MS = 70
/** One in so many is overtaken by the one behind it. */
const SWAPPED = 20

export interface AirPath {
  readonly set: (air: Air) => void
  readonly through: (write: (packet: RtpPacket) => void) => (packet: RtpPacket) => void
}

export const make = (): AirPath => {
  let air: Air = "good"
  let count = 0
  return {
    set: (next) => {
      air = next
    },
    through: (write) => {
      let lastMs = 0
      let held: RtpPacket | undefined
      const later = (packet: RtpPacket, byMs: number) => {
        const now = performance.now()
        lastMs = Math.max(lastMs, now + byMs)
        if (lastMs <= now) write(packet)
        else setTimeout(write, lastMs - now, packet)
      }
      return (packet) => {
        count += 1
        const byMs = air === "late" ? Math.random() * JITTER_MS : 0
        if (air === "late" && held === undefined && count % SWAPPED === 0) {
          held = packet
          return
        }
        later(packet, byMs)
        if (held !== undefined) later(held, byMs)
        held = undefined
        if (air === "twice") later(packet.clone(), 0)
      }
    }
  }
}
