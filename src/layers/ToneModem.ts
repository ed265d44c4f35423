/**
 * Synthetic speech: words said as tones, for tests and demonstrations of everything between a microphone and a speech engine.
 *
 * What is said carries which word it is, who said it and a running number, so that a listener can tell what was lost, repeated, cut or given
 * to somebody else on the way. It survives Opus, and the `normal` format also packet loss.
 */
import * as ToneFormat from "./ToneFormat.ts"

export { make as toneDecoder, type ToneDecoder, type ToneEvent } from "./ToneDecoder.ts"
export { fast, limits, narrow, normal, type ToneFormat, type ToneWord } from "./ToneFormat.ts"

export interface SpeakOptions {
  /** 0…511. */
  readonly speaker: number
  /** Hz, at least 11,025; `narrow` fits 8,000. */
  readonly sampleRate: number
  /** The running number of the first word; it wraps at 16. */
  readonly firstSequence?: number
  readonly format?: ToneFormat.ToneFormat
}

export interface SpokenWord {
  readonly word: number
  readonly sequence: number
  /** From the first sample of the utterance. */
  readonly startMs: number
  readonly endMs: number
}

export interface Spoken {
  /** Mono, peak below 0.6. */
  readonly pcm: Float32Array
  readonly words: ReadonlyArray<SpokenWord>
}

const pilotAmplitude = 0.08
const toneAmplitude = 0.14
const pilotRampMs = 10
const toneRampMs = 4

/** Says words as one utterance. */
export const speak = (words: ReadonlyArray<number>, options: SpeakOptions): Spoken => {
  const { firstSequence = 0, format = ToneFormat.normal, sampleRate, speaker } = options
  const samplesOf = (ms: number) => Math.round((ms * sampleRate) / 1000)
  const durationMs = ToneFormat.leadMs + words.length * format.wordMs + ToneFormat.trailMs
  const pcm = new Float32Array(samplesOf(durationMs))
  addTone(pcm, {
    hz: ToneFormat.pilotHz,
    amplitude: pilotAmplitude,
    from: 0,
    length: pcm.length,
    ramp: samplesOf(pilotRampMs),
    sampleRate
  })
  const sound = (hz: number, startMs: number) =>
    addTone(pcm, {
      hz,
      amplitude: toneAmplitude,
      from: samplesOf(startMs),
      length: samplesOf(format.symbolMs),
      ramp: samplesOf(toneRampMs),
      sampleRate
    })
  const spoken = words.map((word, i) => {
    const startMs = ToneFormat.leadMs + i * format.wordMs
    const sequence = (firstSequence + i) % ToneFormat.limits.sequences
    for (const hz of format.syncHz) sound(hz, startMs)
    ToneFormat.encodeWord({ word, speaker, sequence }, format).forEach((nibble, at) => {
      const symbol = Math.floor(at / format.bands.length)
      const lowest = format.bands[at % format.bands.length] ?? 0
      sound(lowest + ToneFormat.toneSpacingHz * nibble, startMs + format.symbolMs * (symbol + 1))
    })
    return { word, sequence, startMs, endMs: startMs + format.wordMs - format.gapMs }
  })
  return { pcm, words: spoken }
}

interface Tone {
  readonly hz: number
  readonly amplitude: number
  /** Samples; so are `length` and `ramp`. */
  readonly from: number
  readonly length: number
  readonly ramp: number
  readonly sampleRate: number
}

/** Phase runs with the utterance, so a tone is the same wave wherever it is switched on. */
const addTone = (pcm: Float32Array, { amplitude, from, hz, length, ramp, sampleRate }: Tone) => {
  const step = (2 * Math.PI * hz) / sampleRate
  for (let i = 0; i < length && from + i < pcm.length; i++) {
    const edge = Math.min(1, (i + 0.5) / ramp, (length - i - 0.5) / ramp)
    const envelope = 0.5 - 0.5 * Math.cos(Math.PI * edge)
    pcm[from + i] = (pcm[from + i] ?? 0) + amplitude * envelope * Math.sin(step * (from + i))
  }
}
