/**
 * Which keys protect RTP, made of what the DTLS handshake agreed on (RFC 3711 §4.3, RFC 7714 §11; one set of keys for the whole session).
 */
import { createCipheriv, createSecretKey, type KeyObject } from "node:crypto"

/** As numbered by IANA for DTLS-SRTP. */
export const AES_CM_128_HMAC_SHA1_80 = 0x0001
export const AEAD_AES_128_GCM = 0x0007

export type SrtpProfile = typeof AES_CM_128_HMAC_SHA1_80 | typeof AEAD_AES_128_GCM

export interface SrtpMaster {
  readonly profile: number
  readonly key: Uint8Array
  readonly salt: Uint8Array
}

export interface SrtpKeys {
  readonly profile: SrtpProfile
  readonly encryption: KeyObject
  /** Of HMAC; unused with GCM, which authenticates with its one key. */
  readonly authentication: KeyObject
  readonly salt: Uint8Array
}

const keyBytes = 16
const authenticationBytes = 20
const saltBytes = { [AES_CM_128_HMAC_SHA1_80]: 14, [AEAD_AES_128_GCM]: 12 }
/** What is derived, RFC 3711 §4.3.1. */
const labels = { encryption: 0, authentication: 1, salt: 2 }
/** Salt and block counter of AES in counter mode. */
const blockBytes = 16
const labelAt = 7

/** `undefined`: a profile that is not known here, or keys which are not of its length. */
export const derive = (master: SrtpMaster): SrtpKeys | undefined => {
  const { key, profile, salt } = master
  if (profile !== AES_CM_128_HMAC_SHA1_80 && profile !== AEAD_AES_128_GCM) return undefined
  if (key.length !== keyBytes || salt.length !== saltBytes[profile]) return undefined
  return {
    profile,
    encryption: createSecretKey(generate(master, labels.encryption, keyBytes)),
    authentication: createSecretKey(generate(master, labels.authentication, authenticationBytes)),
    salt: generate(master, labels.salt, saltBytes[profile])
  }
}

/** The pseudo-random function: AES in counter mode over nothing. GCM's shorter salt is filled up with zeros on the right. */
const generate = ({ key, salt }: SrtpMaster, label: number, bytes: number): Uint8Array => {
  const start = new Uint8Array(blockBytes)
  start.set(salt)
  start[labelAt] = (start[labelAt] ?? 0) ^ label
  return createCipheriv("aes-128-ctr", key, start).update(new Uint8Array(bytes))
}
