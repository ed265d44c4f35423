/**
 * A journal of speech is no recording: what is in the file can only be read with the secret that was shared with the HPB.
 *
 * A file is `PSJ1`, a salt of 32 bytes, then batches: length (4), tag (16), ciphertext. AES-256-GCM with a key of its own for each file
 * (HKDF-SHA-256 of secret and salt); the nonce is the batch's number. A batch holds the wall clock (ms, 64 bit float) and entries.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto"

const MAGIC = Buffer.from("PSJ1")
const SALT = 32
const TAG = 16
const BATCH_HEADER = 4 + TAG
const CIPHER = "aes-256-gcm"

const keyOf = (secret: string, salt: Uint8Array): Buffer =>
  Buffer.from(hkdfSync("sha256", secret, salt, "parlance speech journal", 32))

const nonceOf = (batch: number): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(batch, 6, 6)
  return nonce
}

export interface Seal {
  /** What the file begins with. */
  readonly header: Uint8Array
  /** The next batch. */
  readonly batch: (atMs: number, entries: Uint8Array) => Uint8Array
}

/** For one file. */
export const make = (secret: string): Seal => {
  const salt = randomBytes(SALT)
  const key = keyOf(secret, salt)
  let batches = 0
  return {
    header: Buffer.concat([MAGIC, salt]),
    batch: (atMs, entries) => {
      const clock = Buffer.alloc(8)
      clock.writeDoubleBE(atMs)
      const cipher = createCipheriv(CIPHER, key, nonceOf(batches++))
      const body = [cipher.update(clock), cipher.update(entries), cipher.final()]
      const head = Buffer.alloc(4)
      head.writeUInt32BE(8 + entries.length)
      return Buffer.concat([head, cipher.getAuthTag(), ...body])
    }
  }
}

export interface Batch {
  readonly atMs: number
  readonly entries: Uint8Array
}

/** The batches of a file, up to the first that is torn or was not sealed with this secret. */
export function* open(secret: string, file: Uint8Array): Generator<Batch> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || bytes.length < MAGIC.length + SALT) return
  const key = keyOf(secret, bytes.subarray(MAGIC.length, MAGIC.length + SALT))
  let at = MAGIC.length + SALT
  for (let batch = 0; at + BATCH_HEADER <= bytes.length; batch++) {
    const length = bytes.readUInt32BE(at)
    const end = at + BATCH_HEADER + length
    if (end > bytes.length || length < 8) return
    const decipher = createDecipheriv(CIPHER, key, nonceOf(batch))
    decipher.setAuthTag(bytes.subarray(at + 4, at + BATCH_HEADER))
    const plain = decipher.update(bytes.subarray(at + BATCH_HEADER, end))
    try {
      decipher.final()
    } catch {
      return
    }
    yield { atMs: plain.readDoubleBE(0), entries: plain.subarray(8) }
    at = end
  }
}
