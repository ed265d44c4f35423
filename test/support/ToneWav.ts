/**
 * Synthetic speech as WAV files: what is in them is known word by word.
 */
import { speak } from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"

export interface ToneWav {
  readonly wav: Buffer
  readonly words: ReadonlyArray<string>
  readonly millis: number
}

export interface ToneWavOptions {
  readonly sampleRate?: number
  /** Silence before the first utterance, behind each, and behind the last. */
  readonly leadMs?: number
  readonly gapMs?: number
  readonly tailMs?: number
}

/** Utterances of so many words each, from word `first` of the vocabulary on. */
export const toneWav = (first: number, sizes: ReadonlyArray<number>, options: ToneWavOptions = {}): ToneWav => {
  const { gapMs = 1200, leadMs = 300, sampleRate = 48_000, tailMs = 0 } = options
  const silence = (ms: number) => new Float32Array(Math.round((sampleRate * ms) / 1000))
  const parts: Array<Float32Array> = [silence(leadMs)]
  const words: Array<string> = []
  for (const size of sizes) {
    const indexes = Array.from({ length: size }, (_, at) => first + words.length + at)
    parts.push(speak(indexes, { speaker: 1, sampleRate, firstSequence: words.length % 16 }).pcm, silence(gapMs))
    words.push(...indexes.map(wordText))
  }
  parts.push(silence(tailMs))
  const samples = parts.reduce((sum, part) => sum + part.length, 0)
  return { wav: wavOf(parts, sampleRate), words, millis: (samples * 1000) / sampleRate }
}

/** PCM16, mono. */
const wavOf = (parts: ReadonlyArray<Float32Array>, sampleRate: number): Buffer => {
  const samples = parts.reduce((sum, part) => sum + part.length, 0)
  const wav = Buffer.alloc(44 + samples * 2)
  wav.write("RIFF", 0)
  wav.writeUInt32LE(36 + samples * 2, 4)
  wav.write("WAVEfmt ", 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(1, 22)
  wav.writeUInt32LE(sampleRate, 24)
  wav.writeUInt32LE(sampleRate * 2, 28)
  wav.writeUInt16LE(2, 32)
  wav.writeUInt16LE(16, 34)
  wav.write("data", 36)
  wav.writeUInt32LE(samples * 2, 40)
  let at = 44
  for (const part of parts) for (const sample of part) at = wav.writeInt16LE(Math.round(sample * 32_767), at)
  return wav
}
