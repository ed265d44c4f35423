/**
 * Samples as 16-bit integers, little endian, for engines that take no floats.
 */

/**
 * Makes an encoder which reuses its memory: the bytes are good until the next call. What is out of range is cut off, what is not a number is
 * silence. Every platform Node runs on is little endian.
 */
export const encoder = (): ((pcm: Float32Array) => Buffer) => {
  let samples = new Int16Array(0)
  let bytes = Buffer.alloc(0)
  return (pcm) => {
    if (samples.length < pcm.length) {
      samples = new Int16Array(pcm.length)
      bytes = Buffer.from(samples.buffer)
    }
    for (let i = 0; i < pcm.length; i++) samples[i] = Math.max(-1, Math.min(1, pcm[i] ?? 0)) * 32_767
    return bytes.subarray(0, pcm.length * 2)
  }
}

/** The same to base64: the string is all that is allocated. */
export const base64Encoder = (): ((pcm: Float32Array) => string) => {
  const encode = encoder()
  return (pcm) => encode(pcm).toString("base64")
}
