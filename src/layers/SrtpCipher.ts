/**
 * Opens one packet of SRTP, whose place in its stream is known: AEAD_AES_128_GCM (RFC 7714) and AES_CM_128_HMAC_SHA1_80 (RFC 3711).
 */
import { createDecipheriv, createHmac } from "node:crypto"
import * as RtpDatagram from "./RtpDatagram.ts"
import { AEAD_AES_128_GCM, type SrtpKeys } from "./SrtpKeys.ts"

export interface SrtpCipher {
  /** Bytes behind the payload. */
  readonly tagBytes: number
  /** The payload, in memory of its own; `undefined`: not authentic. The packet has room for its header and the tag. */
  readonly open: (packet: Uint8Array, headerBytes: number, rolloverCounter: number) => Uint8Array | undefined
}

export const make = (keys: SrtpKeys): SrtpCipher => (keys.profile === AEAD_AES_128_GCM ? gcm(keys) : counterMode(keys))

const gcmOptions = { authTagLength: 16 }
const hmacTagBytes = 10

const gcm = ({ encryption, salt }: SrtpKeys): SrtpCipher => {
  const tagBytes = gcmOptions.authTagLength
  const vector = new Uint8Array(12)
  return {
    tagBytes,
    open: (packet, headerBytes, rolloverCounter) => {
      vector.fill(0)
      putSource(vector, 2, packet)
      putIndex(vector, 6, packet, rolloverCounter)
      mix(vector, salt)
      const end = packet.length - tagBytes
      const decipher = createDecipheriv("aes-128-gcm", encryption, vector, gcmOptions)
      decipher.setAAD(packet.subarray(0, headerBytes))
      decipher.setAuthTag(packet.subarray(end))
      const payload = decipher.update(packet.subarray(headerBytes, end))
      try {
        decipher.final()
      } catch {
        return undefined
      }
      return payload
    }
  }
}

const counterMode = ({ authentication, encryption, salt }: SrtpKeys): SrtpCipher => {
  const vector = new Uint8Array(16)
  const counter = new Uint8Array(4)
  return {
    tagBytes: hmacTagBytes,
    open: (packet, headerBytes, rolloverCounter) => {
      const end = packet.length - hmacTagBytes
      put32(counter, 0, rolloverCounter)
      const tag = createHmac("sha1", authentication).update(packet.subarray(0, end)).update(counter).digest()
      // Every byte is looked at, so that the time says nothing of where they differ.
      let difference = 0
      for (let n = 0; n < hmacTagBytes; n++) difference |= (tag[n] ?? 0) ^ (packet[end + n] ?? 0)
      if (difference !== 0) return undefined
      vector.fill(0)
      putSource(vector, 4, packet)
      putIndex(vector, 8, packet, rolloverCounter)
      mix(vector, salt)
      return createDecipheriv("aes-128-ctr", encryption, vector).update(packet.subarray(headerBytes, end))
    }
  }
}

/** The SSRC, as it stands in the packet. */
const putSource = (vector: Uint8Array, at: number, packet: Uint8Array) => {
  for (let n = 0; n < 4; n++) vector[at + n] = packet[8 + n] ?? 0
}

/** Rollover counter and sequence number. */
const putIndex = (vector: Uint8Array, at: number, packet: Uint8Array, rolloverCounter: number) => {
  const sequenceNumber = RtpDatagram.sequenceNumber(packet)
  put32(vector, at, rolloverCounter)
  vector[at + 4] = sequenceNumber >> 8
  vector[at + 5] = sequenceNumber & 0xff
}

const put32 = (bytes: Uint8Array, at: number, value: number) => {
  bytes[at] = value >>> 24
  bytes[at + 1] = (value >>> 16) & 0xff
  bytes[at + 2] = (value >>> 8) & 0xff
  bytes[at + 3] = value & 0xff
}

const mix = (vector: Uint8Array, salt: Uint8Array) => {
  for (let n = 0; n < salt.length; n++) vector[n] = (vector[n] ?? 0) ^ (salt[n] ?? 0)
}
