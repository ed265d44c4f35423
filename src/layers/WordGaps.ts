/**
 * WordGaps: where in speech without a pause one may cut: in a frame that is quiet, between two words.
 */

/** A frame with less than this part of the usual power lies between two words. */
const QUIET = 0.1
/** Part that a frame has in what is usual: that of the newest 1.6 s. */
const WEIGHT = 0.05

/** Judges the frames of one voice, in order, against those before them. Without frames before it none is quiet. */
export const make = (): ((pcm: Float32Array) => boolean) => {
  let usual = 0
  return (pcm) => {
    let sum = 0
    for (const sample of pcm) sum += sample * sample
    const power = pcm.length === 0 ? 0 : sum / pcm.length
    usual = usual === 0 ? power : usual * (1 - WEIGHT) + power * WEIGHT
    return usual > 0 && power < QUIET * usual
  }
}
