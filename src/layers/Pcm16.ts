/**
 * Samples as 16-bit integers, little endian, for engines that take no floats.
 */

/**
 * Makes an encoder to base64 which reuses its memory: the string is all that is allocated. What is out of range is cut off, what is not a
 * number is silence. Every platform Node runs on is little endian.
 */
export const base64Encoder = (): ((pcm: Float32Array) => string) => {
  let samples = new Int16Array(0)
  let bytes = Buffer.alloc(0)
  return (pcm) => {
    if (samples.length < pcm.length) {
      samples = new Int16Array(pcm.length)
      bytes = Buffer.from(samples.buffer)
    }
    for (let i = 0; i < pcm.length; i++) samples[i] = Math.max(-1, Math.min(1, pcm[i] ?? 0)) * 32_767
    return bytes.toString("base64", 0, pcm.length * 2)
  }
}
