/**
 * Opens one packet of SRTP, whose place in its stream is known: AEAD_AES_128_GCM (RFC 7714) and AES_CM_128_HMAC_SHA1_80 (RFC 3711).
 */
import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto"
import * as ByteViews from "./ByteViews.ts"
import * as HmacSha1 from "./HmacSha1.ts"
import * as NativeAddon from "./NativeAddon.ts"
import { AEAD_AES_128_GCM, type SrtpKeys } from "./SrtpKeys.ts"

export interface SrtpCipher {
  /** Bytes behind the payload. */
  readonly tagBytes: number
  /** The payload, valid until the next packet is opened, by whomever; `undefined`: not authentic. The packet has room for its header and the tag. */
  readonly open: (packet: Uint8Array, headerBytes: number, rolloverCounter: number) => Uint8Array | undefined
}

/** On our own addon where there is one, else on `node:crypto`. */
export const make = (keys: SrtpKeys): SrtpCipher => {
  native ??= NativeAddon.load()
  return (typeof native === "string" ? undefined : makeNative(native, keys)) ?? makeScript(keys)
}

/** On `node:crypto` alone. */
export const makeScript = (keys: SrtpKeys): SrtpCipher =>
  keys.profile === AEAD_AES_128_GCM ? gcm(keys) : counterMode(keys)

/** On the addon alone; `undefined` where this Node does not have what it needs for these keys. */
export const makeNative = (addon: NativeAddon.NativeAddon, keys: SrtpKeys): SrtpCipher | undefined => {
  const { authentication, encryption, profile, salt } = keys
  const cipher = addon.makeCipher(profile, encryption.export(), authentication.export(), salt)
  if (cipher === undefined) return undefined
  const tagBytes = profile === AEAD_AES_128_GCM ? gcmOptions.authTagLength : hmacTagBytes
  return {
    tagBytes,
    open: (packet, headerBytes, rolloverCounter) => {
      const payload = payloads.of(packet.length - headerBytes - tagBytes)
      return addon.open(cipher, packet, headerBytes, rolloverCounter, payload) < 0 ? undefined : payload
    }
  }
}

/** Asked for once; a string says why there is none. */
let native: NativeAddon.NativeAddon | string | undefined

const gcmOptions = { authTagLength: 16 }
const blockBytes = 16
const hmacTagBytes = 10
/** More than comes in one packet of speech. */
const usualBytes = 2048
/** Of all sources. */
const payloads = ByteViews.make(new Uint8Array(usualBytes))

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

/**
 * Counter mode and HMAC are put together of what Node does in one call each without an object that has to be cleared away: with its own two
 * a packet cost 8–14 µs, most of it garbage (`npm run bench`).
 */
const counterMode = ({ authentication, encryption, salt }: SrtpKeys): SrtpCipher => {
  const vector = new Uint8Array(blockBytes)
  const tagOf = tagger(authentication.export())
  const keyStream = counterStream(encryption)
  return {
    tagBytes: hmacTagBytes,
    open: (packet, headerBytes, rolloverCounter) => {
      const end = packet.length - hmacTagBytes
      const tag = tagOf(packet.subarray(0, end), rolloverCounter)
      // Every byte is looked at, so that the time says nothing of where they differ.
      let difference = 0
      for (let n = 0; n < hmacTagBytes; n++) difference |= (tag[n] ?? 0) ^ (packet[end + n] ?? 0)
      if (difference !== 0) return undefined
      vector.fill(0)
      putSource(vector, 4, packet)
      putIndex(vector, 8, packet, rolloverCounter)
      mix(vector, salt)
      const payload = keyStream(vector, end - headerBytes)
      for (let n = 0; n < payload.length; n++) payload[n] = (payload[n] ?? 0) ^ (packet[headerBytes + n] ?? 0)
      return payload
    }
  }
}

/** The authenticated part of a packet and its rollover counter have this tag (RFC 3711 §4.2). */
const tagger = (key: Uint8Array): ((portion: Uint8Array, rolloverCounter: number) => Uint8Array) => {
  const hmac = HmacSha1.make(key)
  let message = new Uint8Array(usualBytes)
  return (portion, rolloverCounter) => {
    const length = portion.length + 4
    if (message.length < length) message = new Uint8Array(length)
    message.set(portion)
    put32(message, portion.length, rolloverCounter)
    return hmac(message.subarray(0, length))
  }
}

/** The stream that `vector`, which has zeros at its end, begins: it is encrypted with a count of its blocks there. */
const counterStream = (key: KeyObject): ((vector: Uint8Array, bytes: number) => Uint8Array) => {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false)
  let blocks = new Uint8Array(usualBytes)
  return (vector, bytes) => {
    const length = Math.ceil(bytes / blockBytes) * blockBytes
    if (blocks.length < length) blocks = new Uint8Array(length)
    for (let at = 0; at < length; at += blockBytes) {
      const count = at / blockBytes
      for (let n = 0; n < blockBytes - 2; n++) blocks[at + n] = vector[n] ?? 0
      blocks[at + blockBytes - 2] = count >> 8
      blocks[at + blockBytes - 1] = count & 0xff
    }
    return cipher.update(blocks.subarray(0, length)).subarray(0, bytes)
  }
}

/** The SSRC, as it stands in the packet. */
const putSource = (vector: Uint8Array, at: number, packet: Uint8Array) => {
  for (let n = 0; n < 4; n++) vector[at + n] = packet[8 + n] ?? 0
}

/** Rollover counter and sequence number. */
const putIndex = (vector: Uint8Array, at: number, packet: Uint8Array, rolloverCounter: number) => {
  put32(vector, at, rolloverCounter)
  vector[at + 4] = packet[2] ?? 0
  vector[at + 5] = packet[3] ?? 0
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
