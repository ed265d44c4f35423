/**
 * An RTP packet as it comes from the network (RFC 3550 §5.1), read in place: nothing is copied, no object is made.
 */

/** What stands in the clear before the payload. Nothing of it is proven before the packet is opened. */
export interface RtpHeader {
  /** Contributing sources and extension included. */
  bytes: number
  payloadType: number
  sequenceNumber: number
  timestamp: number
  ssrc: number
}

/** To be read into, packet after packet. */
export const emptyHeader = (): RtpHeader => ({ bytes: 0, payloadType: 0, sequenceNumber: 0, timestamp: 0, ssrc: 0 })

/** Header without contributing sources and extension. */
const fixedBytes = 12
/** Profiles of the header extension: elements with a header of one byte, and of two (RFC 8285 §4.2, §4.3). */
const oneByteElements = 0xbede
const twoByteElements = 0x100
/** This number ends the extension: what follows cannot be understood. */
const reservedId = 15

/** Whether a datagram is RTP, of all that shares a transport with it: STUN, DTLS, TURN channels (RFC 7983 §7) and RTCP (RFC 5761 §4). */
export const isRtp = (datagram: Uint8Array): boolean => {
  const first = datagram[0] ?? 0
  const second = datagram[1] ?? 0
  return first >= 128 && first < 192 && (second < 192 || second > 223)
}

/** Whether a datagram of RTCP begins with a sender report (RFC 3550 §6.4.1), as each does that a sender sends now and then. */
export const isSenderReport = (datagram: Uint8Array): boolean => (datagram[0] ?? 0) >> 6 === 2 && datagram[1] === 200

/** Reads the header of a packet; `false`: there is less than one, or of another version, and nothing was read. */
export const read = (packet: Uint8Array, header: RtpHeader): boolean => {
  const first = packet[0] ?? 0
  let bytes = fixedBytes + 4 * (first & 0x0f)
  if ((first & 0x10) !== 0) bytes += 4 + 4 * read16(packet, bytes + 2)
  if (bytes > packet.length || first >> 6 !== 2) return false
  header.bytes = bytes
  header.payloadType = (packet[1] ?? 0) & 0x7f
  header.sequenceNumber = read16(packet, 2)
  header.timestamp = read32(packet, 4)
  header.ssrc = read32(packet, 8)
  return true
}

export const hasPadding = (packet: Uint8Array): boolean => ((packet[0] ?? 0) & 0x20) !== 0

/** The level of RFC 6464 under the number of its extension: −dBov, 0 loudest, 127 silence. */
export const audioLevel = (packet: Uint8Array, id: number): number | undefined => {
  const first = packet[0] ?? 0
  if ((first & 0x10) === 0) return undefined
  const start = fixedBytes + 4 * (first & 0x0f)
  const profile = read16(packet, start)
  const isLong = profile >> 4 === twoByteElements
  if (!isLong && profile !== oneByteElements) return undefined
  const end = start + 4 + 4 * read16(packet, start + 2)
  for (let at = start + 4; at < end; ) {
    const byte = packet[at] ?? 0
    if (byte === 0) {
      at++
      continue
    }
    const found = isLong ? byte : byte >> 4
    if (!isLong && found === reservedId) return undefined
    const bytes = isLong ? (packet[at + 1] ?? 0) : (byte & 0x0f) + 1
    at += isLong ? 2 : 1
    // The first bit says whether the sender takes it for speech (RFC 6464 §3); the gate judges for itself.
    if (found === id) return bytes === 0 || at >= end ? undefined : (packet[at] ?? 0) & 0x7f
    at += bytes
  }
  return undefined
}

const read16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

const read32 = (bytes: Uint8Array, at: number): number => ((read16(bytes, at) << 16) | read16(bytes, at + 2)) >>> 0
