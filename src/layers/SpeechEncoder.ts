/**
 * Opus for simulated speakers.
 */
import { Effect, type Scope } from "effect"
import { createEncoder } from "libopus-wasm"

/** Turns 20 ms of mono audio at 48 kHz into an Opus packet; has memory, so every voice needs its own. */
export interface SpeechEncoder {
  readonly encode: (pcm: Float32Array) => Uint8Array
}

export const ENCODER_RATE = 48_000
export const PACKET_MS = 20
export const PACKET_SAMPLES = (ENCODER_RATE * PACKET_MS) / 1000

/** bit/s; at 24,000 in music mode libopus spoils one synthetic word in 250. */
const bitrate = 32_000

/** Makes an encoder; it is freed with the scope. */
export const make: Effect.Effect<SpeechEncoder, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => createEncoder({ sampleRate: ENCODER_RATE, channels: 1, bitrate, frameSize: PACKET_SAMPLES })),
  (encoder) => Effect.sync(() => encoder.free())
).pipe(
  Effect.map((encoder) => {
    const frame = new Float32Array(PACKET_SAMPLES)
    return {
      encode: (pcm) => {
        frame.fill(0)
        frame.set(pcm.subarray(0, PACKET_SAMPLES))
        return encoder.encodeFloat(frame)
      }
    }
  })
)
