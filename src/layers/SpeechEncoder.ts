/**
 * Opus for simulated speakers.
 */
import { createRequire } from "node:module"
import { Effect, Schema } from "effect"

/** Opus packets can only be made with the optional native library. */
export class EncoderMissing extends Schema.TaggedError<EncoderMissing>()("EncoderMissing", { detail: Schema.String }) {
  override get message() {
    return `Simulated speakers need the optional dependency ${library}, which cannot be used here: ${this.detail}`
  }
}

/** Turns 20 ms of mono audio at 48 kHz into an Opus packet; has memory, so every voice needs its own. */
export interface SpeechEncoder {
  readonly encode: (pcm: Float32Array) => Uint8Array
}

export const ENCODER_RATE = 48_000
export const PACKET_MS = 20
export const PACKET_SAMPLES = (ENCODER_RATE * PACKET_MS) / 1000

const library = "@discordjs/opus"
/** bit/s; at 24,000 in music mode libopus spoils one synthetic word in 250. */
const bitrate = 32_000

interface NativeEncoder {
  readonly encode: (pcm: Buffer) => Buffer
  readonly setBitrate: (bitrate: number) => void
}

/** Makes encoders, or says plainly what is missing. */
export const load: Effect.Effect<() => SpeechEncoder, EncoderMissing> = Effect.try({
  try: () => {
    const loaded: unknown = createRequire(import.meta.url)(library)
    if (!isNativeOpus(loaded)) throw new TypeError("it has no OpusEncoder")
    const { OpusEncoder } = loaded
    return () => speechEncoder(new OpusEncoder(ENCODER_RATE, 1))
  },
  catch: (cause) => new EncoderMissing({ detail: cause instanceof Error ? cause.message : String(cause) })
})

const isNativeOpus = (
  loaded: unknown
): loaded is { readonly OpusEncoder: new (rate: number, channels: number) => NativeEncoder } =>
  typeof loaded === "object" && loaded !== null && "OpusEncoder" in loaded && typeof loaded.OpusEncoder === "function"

const speechEncoder = (encoder: NativeEncoder): SpeechEncoder => {
  encoder.setBitrate(bitrate)
  const samples = new Int16Array(PACKET_SAMPLES)
  const bytes = Buffer.from(samples.buffer)
  return {
    encode: (pcm) => {
      for (let i = 0; i < PACKET_SAMPLES; i++) {
        samples[i] = Math.max(-32_768, Math.min(32_767, Math.round((pcm[i] ?? 0) * 32_767)))
      }
      return encoder.encode(bytes)
    }
  }
}
