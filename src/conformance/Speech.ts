/**
 * Speech: what the suite says to an engine, and what it expects to read.
 */
import { Effect } from "effect"
import { type AudioFrame, FRAME_MS, FRAME_SAMPLES, msOfSamples, SAMPLE_RATE, samplesOfMs } from "../domain/Audio.ts"
import { monotonicMs } from "../layers/Monotonic.ts"
import * as ToneModem from "../layers/ToneModem.ts"
import { wordText } from "../layers/ToneWords.ts"
import type { EngineSession } from "../services/SpeechEngine.ts"
import type { Harness, Subject } from "./Harness.ts"

/** A word of an utterance and where it lies, ms of the voice's audio. */
export interface ExpectedWord {
  readonly text: string
  readonly startMs: number
  readonly endMs: number
}

/** One stretch of speech. */
export interface Utterance {
  /** At the engine's rate, positions at 24 kHz; the last one is padded and ends the speech. */
  readonly frames: ReadonlyArray<AudioFrame>
  readonly words: ReadonlyArray<ExpectedWord>
  /** Position behind the last frame. */
  readonly endsAt: number
}

/** Says words of the vocabulary from a position on, at the rate the engine listens to. */
export type Speak = (
  words: ReadonlyArray<number>,
  at: { readonly position: number; readonly sampleRate: number }
) => Utterance

/** Says these words of the vocabulary (`ToneWords`, 0…2047) from a position on. `sampleRate`: what the engine listens to, 16 kHz or more. */
export const speak: Speak = (words, at) => {
  const spoken = ToneModem.speak(words, { speaker: 7, sampleRate: at.sampleRate, firstSequence: 0 })
  return utteranceOf(
    spoken.pcm,
    spoken.words.map(({ word, ...times }) => ({ ...times, text: wordText(word) })),
    at
  )
}

/** An utterance of this sound; `words` say where they lie in it. */
export const utteranceOf = (
  sound: Float32Array,
  words: ReadonlyArray<ExpectedWord>,
  { position, sampleRate }: { readonly position: number; readonly sampleRate: number }
): Utterance => {
  const step = (sampleRate * FRAME_MS) / 1000
  const count = Math.ceil(sound.length / step)
  const frames = Array.from({ length: count }, (_, index): AudioFrame => {
    const pcm = new Float32Array(step)
    pcm.set(sound.subarray(index * step, (index + 1) * step))
    return { position: position + index * FRAME_SAMPLES, pcm, heardAtMs: 0, endsSpeech: index === count - 1 }
  })
  const beginMs = msOfSamples(position)
  const expected = words.map(({ endMs, startMs, text }) => ({
    text,
    startMs: beginMs + startMs,
    endMs: beginMs + endMs
  }))
  return { frames, words: expected, endsAt: position + count * FRAME_SAMPLES }
}

/** The frames of what of an utterance lies behind a position, to the sample. */
export const from = (
  { endsAt, frames }: Utterance,
  position: number,
  sampleRate: number
): ReadonlyArray<AudioFrame> => {
  const begin = frames[0]?.position ?? 0
  if (position >= endsAt) return []
  if (position <= begin) return frames
  const sound = Float32Array.from(frames.flatMap(({ pcm }) => [...pcm]))
  const rest = sound.subarray(Math.round(((position - begin) * sampleRate) / SAMPLE_RATE))
  return utteranceOf(rest, [], { position, sampleRate }).frames
}

/** Several utterances with so many words each, all words different, and 2 s of silence, which is not sent, between them. */
export const utterances = (
  subject: Subject,
  ...lengths: ReadonlyArray<number>
): ReadonlyArray<Utterance & { readonly index: number }> => {
  let position = samplesOfMs(1_000)
  let word = 100
  return lengths.map((length, index) => {
    const words = Array.from({ length }, () => {
      word += 7
      return word % 2048
    })
    const say = subject.speak ?? speak
    const utterance = say(words, { position, sampleRate: subject.engine.capabilities.sampleRate })
    position = utterance.endsAt + samplesOfMs(2_000)
    return { ...utterance, index }
  })
}

/** Sends frames as fast as the harness allows. */
export const say = Effect.fnUntraced(function* (
  session: EngineSession,
  frames: ReadonlyArray<AudioFrame>,
  { speed = 10 }: Harness
) {
  const now = yield* monotonicMs
  let dueMs = now()
  for (const frame of frames) {
    session.send({ ...frame, heardAtMs: now() })
    // A machine that is late with one frame is not late with all that follow.
    dueMs += FRAME_MS / speed
    yield* Effect.sleep(Math.max(0, dueMs - now()))
  }
})

/** The words of a text as they are compared: an engine may write them in any case and with punctuation. */
export const wordsIn = (text: string): ReadonlyArray<string> => text.toLowerCase().match(/[a-z]+/g) ?? []

/** The words of utterances, in speaking order. */
export const textsOf = (said: ReadonlyArray<Utterance>): ReadonlyArray<string> =>
  said.flatMap(({ words }) => words.map(({ text }) => text))

/** ms of a position. */
export const msAt = (position: number): number => (position * 1000) / SAMPLE_RATE
