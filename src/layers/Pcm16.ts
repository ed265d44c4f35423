/**
 * Samples as 16-bit integers, little endian, for engines that take no floats. Every platform Node runs on is little endian.
 */

/**
 * Makes an encoder which reuses its memory: the bytes are good until the next call. What is out of range is cut off, what is not a number is
 * silence.
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

/** The samples in these bytes, full scale being 1; half a sample at the end is left out. */
export const decode = (bytes: Uint8Array): Float32Array => {
  const samples = new Int16Array(Uint8Array.from(bytes).buffer, 0, bytes.length >> 1)
  return Float32Array.from(samples, (sample) => sample / 32_768)
}
