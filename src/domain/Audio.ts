/**
 * Audio arithmetic: everything is mono float32 in −1…1, positions are samples at 24 kHz since the voice began.
 */

/** Hz. libopus decodes to it directly, and it is what Kyutai listens to. */
export const SAMPLE_RATE = 24_000
/** Hz. RTP clock of Opus, whatever the sender records at (RFC 7587 §4.1). */
export const RTP_CLOCK_RATE = 48_000
/** 80 ms: the step of Kyutai's model (12.5 Hz). */
export const FRAME_MS = 80
export const FRAME_SAMPLES = (SAMPLE_RATE * FRAME_MS) / 1000

export const samplesOfMs = (ms: number): number => Math.round((ms * SAMPLE_RATE) / 1000)
export const msOfSamples = (samples: number): number => (samples * 1000) / SAMPLE_RATE

/** One step of speech on its way to an engine. */
export interface AudioFrame {
  /** Position of the first sample in this voice's audio; jumps where there was silence. Never decreases. */
  readonly position: number
  /** `FRAME_SAMPLES` samples, the last frame of a stretch of speech padded with zeros. Owned by whoever takes the frame. */
  readonly pcm: Float32Array
  /** When the last packet in it arrived: milliseconds of the monotonic clock. Only for latency figures. */
  readonly heardAtMs: number
  /** The speaker fell silent after this frame: the engine may be flushed. */
  readonly endsSpeech: boolean
  /** Where that is known of a frame that ends speech: for so many samples up to its end nobody has spoken, also before it. */
  readonly silence?: number
}
