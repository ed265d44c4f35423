/**
 * Resampler: any usual sampling rate to any other, one instance per voice.
 */
import { Context } from "effect"

export const sampleRates = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] as const
export type SampleRate = (typeof sampleRates)[number]

export const isSampleRate = (hertz: number): hertz is SampleRate => sampleRates.some((rate) => rate === hertz)

export interface ResamplerStream {
  /** Takes any number of samples, gives those that are complete. Keeps state across calls; the result is the caller's. */
  readonly process: (input: Float32Array) => Float32Array
  /** The samples still inside, once, at the end of the audio. */
  readonly flush: () => Float32Array
  /** Delay of the filter, ms: output lags input by it and is cut by it at the start, so positions stay exact. */
  readonly delayMs: number
}

/** Stop-band ≥ 80 dB, flat to 0.1 dB up to 0.43 × the lower rate. Equal rates pass through untouched. */
export class Resampler extends Context.Service<
  Resampler,
  { readonly make: (from: SampleRate, to: SampleRate) => ResamplerStream }
>()("parlance/services/Resampler") {}
