/**
 * What an Opus packet says about itself, without decoding it (RFC 6716 §3).
 */

/** Ticks of the 48 kHz RTP clock in a packet that is well-formed; 0 for anything else. */
export const ticksOf = (packet: Uint8Array): number => {
  const toc = packet[0]
  if (toc === undefined) return 0
  const frames = frameCount(packet, toc & 3)
  const ticks = frames * frameTicksOf(toc)
  return ticks <= MAX_TICKS ? ticks : 0
}

/** Ticks of each frame in a packet with this first byte (RFC 6716 §3.1, table 2). */
export const frameTicksOf = (toc: number): number => {
  const config = toc >> 3
  if (config < 12) return SILK_TICKS[config & 3] ?? 0
  if (config < 16) return HYBRID_TICKS[config & 1] ?? 0
  return CELT_TICKS[config & 3] ?? 0
}

/** 120 ms, the longest packet there is. */
export const MAX_TICKS = 5760

const SILK_TICKS = [480, 960, 1920, 2880]
const HYBRID_TICKS = [480, 960]
const CELT_TICKS = [120, 240, 480, 960]
/** Bytes of the longest frame. */
const MAX_FRAME = 1275

/** Frames in a packet whose lengths add up as RFC 6716 §3.2 wants it, else 0. */
const frameCount = (packet: Uint8Array, code: number): number => {
  const body = packet.length - 1
  if (code === 0) return body <= MAX_FRAME ? 1 : 0
  if (code === 1) return body % 2 === 0 && body / 2 <= MAX_FRAME ? 2 : 0
  if (code === 2) {
    const first = frameLength(packet, 1)
    if (first < 0) return 0
    const second = body - lengthBytes(first) - first
    return second >= 0 && second <= MAX_FRAME ? 2 : 0
  }
  return manyFrames(packet)
}

/** Code 3: a count, maybe padding, and frames of one size or of their own sizes (RFC 6716 §3.2.5). */
const manyFrames = (packet: Uint8Array): number => {
  const header = packet[1]
  if (header === undefined) return 0
  const count = header & 63
  let at = 2
  let left = packet.length
  if ((header & 64) !== 0) {
    let padding = 255
    while (padding === 255) {
      padding = packet[at++] ?? -1
      if (padding < 0) return 0
      left -= padding === 255 ? 254 : padding
    }
  }
  if ((header & 128) === 0) {
    const body = left - at
    return count > 0 && body >= 0 && body % count === 0 && body / count <= MAX_FRAME ? count : 0
  }
  let used = 0
  for (let frame = 1; frame < count; frame++) {
    const length = frameLength(packet, at)
    if (length < 0) return 0
    at += lengthBytes(length)
    used += length
  }
  const last = left - at - used
  return last >= 0 && last <= MAX_FRAME ? count : 0
}

/** One or two bytes of length (RFC 6716 §3.2.1); −1 when they are not there. */
const frameLength = (packet: Uint8Array, at: number): number => {
  const first = packet[at]
  if (first === undefined) return -1
  if (first < 252) return first
  const second = packet[at + 1]
  return second === undefined ? -1 : first + 4 * second
}

const lengthBytes = (length: number): number => (length < 252 ? 1 : 2)
