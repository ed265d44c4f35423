/**
 * How a client's audio is written down: samples as they are, or packed in a container.
 */

/** Samples one after the other, channels interleaved; `pcm16` and `float32` little-endian, `pcmu` and `pcma` as in G.711. */
export interface RawAudio {
  readonly _tag: "Raw"
  readonly encoding: "pcm16" | "float32" | "pcmu" | "pcma"
  /** Hz, 8,000 to 48,000. */
  readonly sampleRate: number
  readonly channels: 1 | 2
}

/**
 * Found out from the first bytes: WebM, Matroska, Ogg (all with Opus) or WAV; whatever is none of these is `otherwise`. A container says its
 * own rate and channels; a recorder that starts anew on the same connection is recognised.
 */
export interface DetectedAudio {
  readonly _tag: "Detected"
  readonly otherwise: RawAudio
}

export type AudioFormat = RawAudio | DetectedAudio

/** One channel of samples. */
export const rawAudio = (encoding: RawAudio["encoding"], sampleRate: number, channels: 1 | 2 = 1): RawAudio => ({
  _tag: "Raw",
  encoding,
  sampleRate,
  channels
})
