/**
 * STUN as ICE speaks it: every message is authentic by a password that both sides know, and carries a fingerprint. (RFC 8489, RFC 8445 §7)
 */
import { timingSafeEqual } from "node:crypto"
import { isIPv4 } from "node:net"
import { crc32 } from "node:zlib"
import * as HmacSha1 from "./HmacSha1.ts"

export const BINDING_REQUEST = 0x0001
export const BINDING_RESPONSE = 0x0101

export const USERNAME = 0x0006
export const XOR_MAPPED_ADDRESS = 0x0020
export const PRIORITY = 0x0024
export const USE_CANDIDATE = 0x0025
export const ICE_CONTROLLED = 0x8029
export const ICE_CONTROLLING = 0x802a

export interface StunMessage {
  readonly type: number
  /** 12 bytes; a part of the datagram, as are the values. */
  readonly transaction: Uint8Array
  /** All before its proof, by their type. */
  readonly attributes: ReadonlyMap<number, Uint8Array>
  /** Where the proof begins. */
  readonly provenUntil: number
}

/** A password, ready to prove messages. */
export type Key = HmacSha1.HmacSha1

const MESSAGE_INTEGRITY = 0x0008
const FINGERPRINT = 0x8028
const COOKIE = 0x2112_a442
const HEADER_BYTES = 20
const TRANSACTION_AT = 8
const ATTRIBUTE_BYTES = 4
const PROOF_BYTES = ATTRIBUTE_BYTES + 20
const FINGERPRINT_BYTES = ATTRIBUTE_BYTES + 4
const FINGERPRINT_MASK = 0x5354_554e

/** Of a password of ICE. */
export const keyOf = (password: string): Key => HmacSha1.make(Buffer.from(password))

/** A message that ends with a proof and its fingerprint, and says nothing twice; `undefined` for anything else. The proof is not looked at. */
export const read = (datagram: Buffer): StunMessage | undefined => {
  const provenUntil = datagram.length - PROOF_BYTES - FINGERPRINT_BYTES
  if (provenUntil < HEADER_BYTES || datagram.readUInt32BE(4) !== COOKIE) return undefined
  if (datagram.readUInt16BE(2) !== datagram.length - HEADER_BYTES || !hasFingerprint(datagram)) return undefined
  if (!isAttribute(datagram, provenUntil, MESSAGE_INTEGRITY, PROOF_BYTES)) return undefined
  const attributes = new Map<number, Uint8Array>()
  for (let at = HEADER_BYTES; at < provenUntil; ) {
    if (at + ATTRIBUTE_BYTES > provenUntil) return undefined
    const type = datagram.readUInt16BE(at)
    const from = at + ATTRIBUTE_BYTES
    const until = from + datagram.readUInt16BE(at + 2)
    at = padded(until)
    if (at > provenUntil || attributes.has(type)) return undefined
    attributes.set(type, datagram.subarray(from, until))
  }
  const transaction = datagram.subarray(TRANSACTION_AT, HEADER_BYTES)
  return { type: datagram.readUInt16BE(0), transaction, attributes, provenUntil }
}

/** Whether who sent what was read of this datagram knows the password. */
export const isProven = (datagram: Buffer, { provenUntil }: StunMessage, key: Key): boolean => {
  const proven = Buffer.from(datagram.subarray(0, provenUntil))
  const proof = datagram.subarray(provenUntil + ATTRIBUTE_BYTES, provenUntil + PROOF_BYTES)
  return timingSafeEqual(proofOf(proven, key), proof)
}

/** With attributes as `attribute` makes them, one behind the other. */
export const write = (type: number, transaction: Uint8Array, attributes: Uint8Array, key: Key): Buffer => {
  const proofAt = HEADER_BYTES + attributes.length
  const fingerprintAt = proofAt + PROOF_BYTES
  const message = Buffer.alloc(fingerprintAt + FINGERPRINT_BYTES)
  message.writeUInt16BE(type, 0)
  message.writeUInt32BE(COOKIE, 4)
  message.set(transaction, TRANSACTION_AT)
  message.set(attributes, HEADER_BYTES)
  writeHead(message, proofAt, MESSAGE_INTEGRITY, PROOF_BYTES)
  message.set(proofOf(message.subarray(0, proofAt), key), proofAt + ATTRIBUTE_BYTES)
  message.writeUInt16BE(message.length - HEADER_BYTES, 2)
  writeHead(message, fingerprintAt, FINGERPRINT, FINGERPRINT_BYTES)
  message.writeUInt32BE(fingerprintOf(message, fingerprintAt), fingerprintAt + ATTRIBUTE_BYTES)
  return message
}

/** An address of IPv4 as `XOR_MAPPED_ADDRESS`; `undefined` for any other. (RFC 8489 §14.2) */
export const mappedAddress = (address: string, port: number): Uint8Array | undefined => {
  if (!isIPv4(address)) return undefined
  const attribute = Buffer.alloc(ATTRIBUTE_BYTES + 8)
  writeHead(attribute, 0, XOR_MAPPED_ADDRESS, attribute.length)
  attribute.writeUInt8(1, 5)
  attribute.writeUInt16BE(port ^ (COOKIE >>> 16), 6)
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number)
  attribute.writeUInt32BE((((a << 24) | (b << 16) | (c << 8) | d) ^ COOKIE) >>> 0, 8)
  return attribute
}

const padded = (bytes: number): number => (bytes + 3) & ~3

const writeHead = (message: Buffer, at: number, type: number, bytes: number) => {
  message.writeUInt16BE(type, at)
  message.writeUInt16BE(bytes - ATTRIBUTE_BYTES, at + 2)
}

const isAttribute = (message: Buffer, at: number, type: number, bytes: number): boolean =>
  message.readUInt16BE(at) === type && message.readUInt16BE(at + 2) === bytes - ATTRIBUTE_BYTES

/** Of all before it; their length then counts the proof, and nothing behind. (RFC 8489 §14.5) */
const proofOf = (proven: Buffer, key: Key): Buffer => {
  proven.writeUInt16BE(proven.length - HEADER_BYTES + PROOF_BYTES, 2)
  return key(proven)
}

const hasFingerprint = (message: Buffer): boolean => {
  const at = message.length - FINGERPRINT_BYTES
  if (!isAttribute(message, at, FINGERPRINT, FINGERPRINT_BYTES)) return false
  return message.readUInt32BE(at + ATTRIBUTE_BYTES) === fingerprintOf(message, at)
}

/** Of all before it. (RFC 8489 §14.7) */
const fingerprintOf = (message: Buffer, at: number): number => (crc32(message.subarray(0, at)) ^ FINGERPRINT_MASK) >>> 0
