/**
 * Base64 from clients (RFC 4648 §4).
 */

/** The bytes it stands for, padded or not; `undefined` where it is none. */
export const bytesIn = (base64: string): Uint8Array | undefined => {
  const bare = base64.replace(/={1,2}$/, "")
  const bytes = Buffer.from(bare, "base64")
  // Node skips what does not belong there, and then there are fewer; a single character left over stands for nothing
  return bare.length % 4 !== 1 && bytes.length === Math.floor((bare.length * 3) / 4) ? bytes : undefined
}
