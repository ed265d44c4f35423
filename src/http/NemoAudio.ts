/**
 * Samples of NeMo clients, who do not always say what they are.
 */

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
