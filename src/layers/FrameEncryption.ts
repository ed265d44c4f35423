/**
 * Recognises Talk's end-to-end encryption. It leaves the first byte of an Opus packet readable, so the rest would decode to noise that
 * no engine should hear.
 */

export interface FrameEncryption {
  /** Whether this packet, and the one before, end as Talk's encryption ends them. Every packet is shown once, in order. */
  readonly isEncrypted: (packet: Uint8Array) => boolean
}

/** Layout of the trailer (Talk, `JitsiEncryptionWorkerContext.js`): IV of SSRC, timestamp and send counter, its length, index of the key. */
const IV_BYTES = 12
const TRAILER_BYTES = IV_BYTES + 2
const TAG_BYTES = 16
const KEYS = 16

/**
 * Makes the test for one voice. By its look alone one packet in 4,000 would be taken for encrypted; that two in a row carry the same SSRC and
 * a counter that grows is no accident.
 */
export const make = (): FrameEncryption => {
  let source = -1
  let count = -1
  return {
    isEncrypted: (packet) => {
      const end = packet.length
      if (end <= TRAILER_BYTES + TAG_BYTES || packet[end - 2] !== IV_BYTES || (packet[end - 1] ?? KEYS) >= KEYS) {
        source = -1
        return false
      }
      const lastSource = source
      const lastCount = count
      source = wordAt(packet, end - 14)
      count = wordAt(packet, end - 6)
      // The counter stays below 2¹⁶ and starts anew with a new key.
      return source === lastSource && count !== lastCount && count < 65_536
    }
  }
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
