/**
 * What was heard of speech, as the frames that were handed on, PCM16 in one preallocated piece of memory: the newest stay, the oldest are
 * overwritten.
 */
import { type AudioFrame, FRAME_SAMPLES } from "../domain/Audio.ts"

export interface PcmMemory {
  /** Keeps a frame; positions grow. */
  readonly keep: (frame: AudioFrame) => void
  /**
   * The frames from the one with `position` in it on, up to the last one there is when it is asked for. Where the memory was overwritten it
   * begins, or goes on, later.
   */
  readonly replay: (position: number) => Iterable<AudioFrame>
  readonly counters: () => PcmMemoryCounters
}

export interface PcmMemoryCounters {
  /** Bytes of audio held now. */
  readonly ringBytes: number
  /** Frames of speech that are no longer there for a replay. */
  readonly ringOverwritten: number
}

const FRAME_BYTES = 2 * FRAME_SAMPLES
/** Where a frame does not say for how long it was silent. */
const UNKNOWN = -1
const FULL_SCALE = 32_768
/** The largest sample, counted from the smallest. */
const MOST = 2 * FULL_SCALE - 1

/** Makes the memory of one voice, at most `size` bytes of audio (allocated with the first frame). Frames come back as they were, to 16 bit. */
export const make = (size: number): PcmMemory => {
  const capacity = Math.max(1, Math.floor(size / FRAME_BYTES))
  let samples = new Int16Array(0)
  let positions = new Float64Array(0)
  let arrivals = new Float64Array(0)
  let ends = new Uint8Array(0)
  let silences = new Float64Array(0)
  /** Frames ever kept; frame n lies at n modulo the capacity. */
  let count = 0

  const oldest = () => Math.max(0, count - capacity)
  /** The number of the first frame that ends behind `position`. */
  const find = (position: number): number => {
    let low = oldest()
    let high = count
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((positions[middle % capacity] ?? 0) + FRAME_SAMPLES > position) high = middle
      else low = middle + 1
    }
    return low
  }
  const frameAt = (place: number): AudioFrame => {
    const pcm = new Float32Array(FRAME_SAMPLES)
    const from = place * FRAME_SAMPLES
    for (let n = 0; n < FRAME_SAMPLES; n++) pcm[n] = (samples[from + n] ?? 0) / FULL_SCALE
    const silence = silences[place] ?? UNKNOWN
    return {
      position: positions[place] ?? 0,
      pcm,
      heardAtMs: arrivals[place] ?? 0,
      endsSpeech: ends[place] === 1,
      ...(silence === UNKNOWN ? {} : { silence })
    }
  }

  return {
    keep: ({ endsSpeech, heardAtMs, pcm, position, silence = UNKNOWN }) => {
      if (count === 0) {
        samples = new Int16Array(capacity * FRAME_SAMPLES)
        positions = new Float64Array(capacity)
        arrivals = new Float64Array(capacity)
        ends = new Uint8Array(capacity)
        silences = new Float64Array(capacity)
      }
      const place = count % capacity
      const from = place * FRAME_SAMPLES
      for (let n = 0; n < FRAME_SAMPLES; n++) {
        // Rounded by adding half and cutting off, which is twice as fast; above zero, where both cut the same way. Filters overshoot.
        const shifted = ((pcm[n] ?? 0) + 1) * FULL_SCALE + 0.5
        samples[from + n] = (shifted < 0 ? 0 : shifted > MOST ? MOST : Math.trunc(shifted)) - FULL_SCALE
      }
      positions[place] = position
      arrivals[place] = heardAtMs
      ends[place] = endsSpeech ? 1 : 0
      silences[place] = silence
      count++
    },
    replay: function* (position) {
      for (let next = find(position); next < count; next++) {
        next = Math.max(next, oldest())
        yield frameAt(next % capacity)
      }
    },
    counters: () => ({ ringBytes: Math.min(count, capacity) * FRAME_BYTES, ringOverwritten: oldest() })
  }
}
