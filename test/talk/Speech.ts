/**
 * What a speaker of the proof says: words of its own as tones, encoded to Opus, with a note of when each word's last sound left.
 */
import { Effect, type Scope } from "effect"
import { Application, createEncoder } from "libopus-wasm"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import { attempt, type ProofError } from "./ProofError.ts"

export const SPEECH_RATE = 48_000
const FRAME_SAMPLES = 960
/** Every speaker has words nobody else says, so a wrong speaker shows in the words themselves. */
const WORDS_EACH = 160
export const MAX_SPEAKERS = Math.floor(ToneWords.vocabularySize / WORDS_EACH)

/** An Opus packet of 20 ms, with the words whose last sound is in it. */
export interface SpeechFrame {
  readonly packet: Uint8Array
  /** The word's end, ms before the end of this frame. */
  readonly ends: ReadonlyArray<{ readonly word: string; readonly beforeEndMs: number }>
}

/** What one speaker can say: each of its words once, in an order of its own. */
export const vocabularyOf = (speaker: number): ReadonlyArray<number> =>
  // 97 is prime to the size: the order wanders through the speaker's words without repeating.
  Array.from({ length: WORDS_EACH }, (_, i) => speaker * WORDS_EACH + ((i * 97) % WORDS_EACH))

export const textOf = (word: number): string => ToneWords.wordText(word)

/** Samples of an utterance with `paddingMs` of silence behind it. */
export const utterance = (
  words: ReadonlyArray<number>,
  options: {
    readonly speaker: number
    readonly firstSequence: number
    readonly fast?: boolean
    readonly paddingMs: number
  }
): { readonly pcm: Float32Array; readonly words: ReadonlyArray<ToneModem.SpokenWord> } => {
  const spoken = ToneModem.speak(words, {
    speaker: options.speaker,
    sampleRate: SPEECH_RATE,
    firstSequence: options.firstSequence,
    format: options.fast === true ? ToneModem.fast : ToneModem.normal
  })
  const pcm = new Float32Array(spoken.pcm.length + Math.round((options.paddingMs * SPEECH_RATE) / 1000))
  pcm.set(spoken.pcm)
  return { pcm, words: spoken.words }
}

const pcm16 = (pcm: Float32Array): Buffer => {
  const bytes = Buffer.alloc(pcm.length * 2)
  for (let i = 0; i < pcm.length; i++) bytes.writeInt16LE(Math.round((pcm[i] ?? 0) * 32_767), i * 2)
  return bytes
}

/** The voice of one speaker: what is to be said, packet by packet, and silence when there is nothing to say. */
export interface Voice {
  readonly say: (pcm: Float32Array, words: ReadonlyArray<ToneModem.SpokenWord>) => void
  readonly nextFrame: () => SpeechFrame
  /** Nothing left to say. */
  readonly quiet: () => boolean
}

/** Encodes each frame only when it is due: a long sentence must not hold up other speakers of this process. */
export const voice: Effect.Effect<Voice, ProofError, Scope.Scope> = Effect.acquireRelease(
  attempt("Opus", () =>
    // VOIP is what a browser uses for speech.
    createEncoder({
      sampleRate: SPEECH_RATE,
      channels: 1,
      bitrate: 48_000,
      application: Application.Voip,
      frameSize: FRAME_SAMPLES
    })
  ),
  (encoder) => Effect.sync(() => encoder.free())
).pipe(
  Effect.map((encoder) => {
    const silence = new Float32Array(FRAME_SAMPLES)
    const frames: Array<{ readonly pcm: Float32Array; readonly ends: SpeechFrame["ends"] }> = []
    return {
      say: (pcm, words) => {
        for (let i = 0; i * FRAME_SAMPLES < pcm.length; i++) {
          const frame = new Float32Array(FRAME_SAMPLES)
          frame.set(pcm.subarray(i * FRAME_SAMPLES, (i + 1) * FRAME_SAMPLES))
          const ends = words.filter((word) => word.endMs > i * 20 && word.endMs <= (i + 1) * 20)
          frames.push({
            pcm: frame,
            ends: ends.map((word) => ({ word: textOf(word.word), beforeEndMs: (i + 1) * 20 - word.endMs }))
          })
        }
      },
      nextFrame: () => {
        const { ends, pcm } = frames.shift() ?? { pcm: silence, ends: [] }
        return { packet: encoder.encodeFloat(pcm), ends }
      },
      quiet: () => frames.length === 0
    }
  })
)

/** A WAV file, 48 kHz mono 16 bit, for Chromium's fake microphone. */
export const wav = (pcm: Float32Array): Buffer => {
  const data = pcm16(pcm)
  const head = Buffer.alloc(44)
  head.write("RIFF", 0, "latin1")
  head.writeUInt32LE(36 + data.length, 4)
  head.write("WAVEfmt ", 8, "latin1")
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(SPEECH_RATE, 24)
  head.writeUInt32LE(SPEECH_RATE * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write("data", 36, "latin1")
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}
