/**
 * The sending end of SRTP, packet by packet and for any place in the stream, written apart from what `src/layers` opens them with.
 */
import { createCipheriv, createHmac } from "node:crypto"
import { AEAD_AES_128_GCM, type SrtpKeys } from "../../src/layers/SrtpKeys.ts"

export interface RtpOptions {
  readonly ssrc?: number
  readonly timestamp?: number
  readonly payload?: Uint8Array
  /** Elements of one byte each, of profile 0xBEDE. */
  readonly extension?: Uint8Array
  readonly padding?: number
  /** In place of the last byte, which says how much padding there is. */
  readonly lastByte?: number
}

/** An RTP packet in the clear; `headerBytes` of it stay so. */
export const rtp = (
  index: number,
  options: RtpOptions = {}
): { readonly bytes: Buffer; readonly headerBytes: number } => {
  const { extension, padding = 0, payload = Uint8Array.of(index & 0xff, 1, 2, 3), ssrc = 7 } = options
  const { lastByte = padding, timestamp = index * 960 } = options
  const fixed = Buffer.alloc(12)
  fixed[0] = 0x80 | (extension === undefined ? 0 : 0x10) | (padding === 0 ? 0 : 0x20)
  fixed[1] = 111
  fixed.writeUInt16BE(index % 0x1_0000, 2)
  fixed.writeUInt32BE(timestamp % 2 ** 32, 4)
  fixed.writeUInt32BE(ssrc, 8)
  const words = Math.ceil((extension?.length ?? 0) / 4)
  const elements = Buffer.alloc(extension === undefined ? 0 : 4 + 4 * words)
  if (extension !== undefined) {
    elements.writeUInt16BE(0xbede, 0)
    elements.writeUInt16BE(words, 2)
    elements.set(extension, 4)
  }
  const end = Buffer.alloc(padding, 0)
  if (padding > 0) end[padding - 1] = lastByte
  return { bytes: Buffer.concat([fixed, elements, payload, end]), headerBytes: fixed.length + elements.length }
}

export const protect = (keys: SrtpKeys, index: number, options?: RtpOptions): Buffer => {
  const { bytes, headerBytes } = rtp(index, options)
  const header = bytes.subarray(0, headerBytes)
  const payload = bytes.subarray(headerBytes)
  const isGcm = keys.profile === AEAD_AES_128_GCM
  const vector = Buffer.alloc(isGcm ? 12 : 16)
  vector.set(bytes.subarray(8, 12), isGcm ? 2 : 4)
  vector.writeUIntBE(index, isGcm ? 6 : 8, 6)
  keys.salt.forEach((byte, n) => {
    vector.writeUInt8(vector.readUInt8(n) ^ byte, n)
  })
  if (isGcm) {
    const cipher = createCipheriv("aes-128-gcm", keys.encryption, vector).setAAD(header)
    return Buffer.concat([header, cipher.update(payload), cipher.final(), cipher.getAuthTag()])
  }
  const hidden = createCipheriv("aes-128-ctr", keys.encryption, vector).update(payload)
  const counter = Buffer.alloc(4)
  counter.writeUInt32BE(Math.floor(index / 0x1_0000))
  const tag = createHmac("sha1", keys.authentication).update(header).update(hidden).update(counter).digest()
  return Buffer.concat([header, hidden, tag.subarray(0, 10)])
}
