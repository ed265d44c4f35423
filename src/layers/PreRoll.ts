/**
 * The last moments before speech was noticed: what a gate needs to give back the beginning of a word.
 */

export interface PreRoll {
  readonly write: (pcm: Float32Array, from: number) => void
  /** Missing samples: zeros, or, when they outlast what is kept, nothing at all from before. */
  readonly skip: (samples: number) => void
  readonly length: () => number
  /** Hands on what is kept, oldest first, in at most two pieces; then nothing is kept. */
  readonly drain: (take: (pcm: Float32Array) => void) => void
}

/** Makes a store for the newest `capacity` samples; memory is allocated with the first. */
export const make = (capacity: number): PreRoll => {
  let samples = new Float32Array(0)
  /** Index of the next sample. */
  let at = 0
  let length = 0

  const put = (pcm: Float32Array | undefined, from: number, until: number) => {
    if (samples.length === 0) samples = new Float32Array(capacity)
    if (pcm !== undefined && from === 0 && at + until <= capacity) {
      // Nearly always: a whole packet, without a loop.
      samples.set(pcm, at)
      at = (at + until) % capacity
    } else {
      for (let n = Math.max(from, until - capacity); n < until; n++) {
        samples[at] = pcm?.[n] ?? 0
        at = at + 1 === capacity ? 0 : at + 1
      }
    }
    length = Math.min(capacity, length + until - from)
  }

  return {
    write: (pcm, from) => put(pcm, from, pcm.length),
    skip: (missing) => {
      if (missing >= capacity) length = 0
      else put(undefined, 0, missing)
    },
    length: () => length,
    drain: (take) => {
      const start = at - length
      if (start < 0) take(samples.subarray(start + capacity))
      if (length > 0) take(samples.subarray(Math.max(0, start), at))
      length = 0
    }
  }
}
