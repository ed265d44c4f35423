/** An hour in which six people talk, from a seed: who says which words when, and how that sounds. */
import { samplesOfMs } from "../../src/domain/Audio.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"

export interface Said {
  readonly words: ReadonlyArray<number>
  /** Samples of its speaker's audio. */
  readonly start: number
  readonly pcm: Float32Array
}

export interface Script {
  readonly people: ReadonlyArray<ReadonlyArray<Said>>
  readonly samples: number
}

export interface ScriptOptions {
  readonly seed: number
  readonly people: number
  readonly seconds: number
  /** How much of the time each of them speaks, 0…1. */
  readonly share: number
}

/** Numbers of 0…1. */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Utterances of 2 to 8 s. */
const FEWEST_WORDS = 6
const MOST_WORDS = 21
const PAUSE_SECONDS = { least: 0.3, most: 20 }
/** Who has spoken goes on with this probability. */
const GOES_ON = 0.5
const GAP_MS = 40

/**
 * How an utterance begins: its first word with the first sound there is, or softly: 200 ms that swell from 40 dB less, so that 80 to 100 ms are
 * over before a gate notices. The last word ends with the last sample.
 */
export const sound = (
  words: ReadonlyArray<number>,
  {
    firstSequence,
    isSoft,
    speaker
  }: { readonly speaker: number; readonly firstSequence: number; readonly isSoft: boolean }
): Float32Array => {
  const { pcm } = ToneModem.speak(words, { speaker, sampleRate: 24_000, firstSequence })
  const behind = samplesOfMs(20 + GAP_MS)
  if (!isSoft) return pcm.slice(samplesOfMs(50), pcm.length - behind)
  const ramp = samplesOfMs(200)
  for (let n = 0; n < ramp; n++) pcm[n] = (pcm[n] ?? 0) * 10 ** (-2 * (1 - n / ramp))
  return pcm.slice(0, pcm.length - behind)
}

/**
 * One speaks after the other: utterances of 2 to 8 s, pauses of 0.3 to 20 s (each order of magnitude equally often; whoever is late takes the
 * shorter of two), until everybody has spoken for the share.
 */
export const make = ({ people, seconds, seed, share }: ScriptOptions): Script => {
  const next = random(seed)
  const samples = Math.round(seconds * 24_000)
  const said = Array.from({ length: people }, (): Array<Said> => [])
  const spoken = said.map(() => 0)
  const budget = samples * share
  /** Samples of silence that are left for each that has still to be spoken. */
  const silence = (from: number) => (samples - from) / spoken.reduce((left, one) => left - one, people * budget) - 1
  let at = samplesOfMs(1000)
  let speaker = 0
  for (;;) {
    const able = spoken.flatMap((one, index) => (budget - one >= samplesOfMs(2_240) ? [index] : []))
    if (able.length === 0) return { people: said, samples: Math.max(samples, at + samplesOfMs(3_000)) }
    const goesOn = able.includes(speaker) && next() < GOES_ON
    if (!goesOn) speaker = able[Math.floor(next() * able.length)] ?? 0
    const mine = said[speaker] ?? []
    const most = Math.floor((budget - (spoken[speaker] ?? 0)) / samplesOfMs(360))
    const count = Math.min(most, FEWEST_WORDS + Math.floor(next() * (MOST_WORDS - FEWEST_WORDS + 1)))
    const words = Array.from({ length: count }, () => Math.floor(next() * ToneModem.limits.words))
    const before = mine.reduce((sum, one) => sum + one.words.length, 0)
    const pcm = sound(words, {
      speaker,
      firstSequence: before % ToneModem.limits.sequences,
      isSoft: next() < 0.5
    })
    mine.push({ words, start: at, pcm })
    spoken[speaker] = (spoken[speaker] ?? 0) + pcm.length
    const pause = () => PAUSE_SECONDS.least * (PAUSE_SECONDS.most / PAUSE_SECONDS.least) ** next()
    const isLate = silence(at) < (samples - people * budget) / (people * budget)
    at += pcm.length + Math.round((isLate ? Math.min(pause(), pause()) : pause()) * 24_000)
  }
}

/** The microphone of one of them: 20 ms after 20 ms, with the hiss of a room at −70 dBFS. */
export const microphone = (said: ReadonlyArray<Said>, seed: number): ((position: number) => Float32Array) => {
  const next = random(seed)
  const hiss = Float32Array.from({ length: 24_000 }, () => (next() * 2 - 1) * Math.sqrt(3) * 10 ** (-70 / 20))
  const block = new Float32Array(480)
  let current = 0
  return (position) => {
    block.set(hiss.subarray(position % hiss.length, (position % hiss.length) + block.length))
    for (let one = said[current]; one !== undefined && one.start < position + block.length; one = said[current]) {
      const until = Math.min(position + block.length, one.start + one.pcm.length)
      for (let n = Math.max(position, one.start); n < until; n++)
        block[n - position] = (block[n - position] ?? 0) + (one.pcm[n - one.start] ?? 0)
      if (one.start + one.pcm.length > position + block.length) break
      current++
    }
    return block
  }
}
