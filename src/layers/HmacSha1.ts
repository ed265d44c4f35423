/**
 * HMAC-SHA1 (RFC 2104) of short messages: put together of two hashes, each of which Node makes in one call. With its own `Hmac`, an object that has to be
 * cleared away, a message of 100 bytes costs four times as much (2.5 instead of 0.6 µs).
 */
import { hash } from "node:crypto"

/** 20 bytes, valid until the next is asked for, with whatever key. */
export type HmacSha1 = (message: Uint8Array) => Buffer

const BLOCK_BYTES = 64
const HASH_BYTES = 20
const USUAL_BYTES = 1024

/** For all keys: nothing stays in it from one message to the next. */
let inner = Buffer.alloc(BLOCK_BYTES + USUAL_BYTES)
const outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES)
const proof = Buffer.alloc(HASH_BYTES)

export const make = (key: Uint8Array): HmacSha1 => {
  const block = new Uint8Array(BLOCK_BYTES)
  block.set(key.length > BLOCK_BYTES ? hash("sha1", key, "buffer") : key)
  const innerPad = block.map((byte) => byte ^ 0x36)
  const outerPad = block.map((byte) => byte ^ 0x5c)
  return (message) => {
    const length = BLOCK_BYTES + message.length
    if (inner.length < length) inner = Buffer.alloc(length)
    inner.set(innerPad)
    inner.set(message, BLOCK_BYTES)
    outer.set(outerPad)
    outer.write(hash("sha1", inner.subarray(0, length), "latin1"), BLOCK_BYTES, "latin1")
    proof.write(hash("sha1", outer, "latin1"), "latin1")
    return proof
  }
}
