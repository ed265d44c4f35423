/**
 * Audio of NeMo clients: base64, and samples of which it is not always said what they are.
 */

/** The bytes; `undefined` when it is not base64 or nothing. */
export const bytesOf = (base64: string): Uint8Array | undefined => {
  const bare = base64.replace(/={1,2}$/, "")
  const bytes = Buffer.from(bare, "base64")
  // what is no base64 is skipped by Node
  return bytes.length > 0 && bytes.length === Math.floor((bare.length * 3) / 4) ? bytes : undefined
}

/** A sample of audio is 0, or in this range: −180 dB to 8 times full scale. */
const LEAST = 2 ** -30
const MOST = 8
/** So many samples that are not 0 tell. */
const ENOUGH = 64

/**
 * Whether bytes that should be float32 are PCM16: then most of the numbers are no sound, not numbers, or tiny. `undefined` while there is
 * too little to tell.
 */
export const looksLikePcm16 = (bytes: Uint8Array): boolean | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let sounds = 0
  let others = 0
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const size = Math.abs(view.getFloat32(at, true))
    if (size === 0) continue
    if (size >= LEAST && size <= MOST) sounds += 1
    else others += 1
  }
  return sounds + others < ENOUGH ? undefined : others > sounds
}
