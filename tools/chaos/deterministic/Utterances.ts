/**
 * Utterances: what somebody says, word by word, and when. Words repeat often, as they do: what was heard twice at a seam looks the same.
 */
import { samplesOfMs } from "../../../src/domain/Audio.ts"
import type { Dice } from "../Dice.ts"

/** Where a word lies in the audio of its voice, samples at 24 kHz. */
export interface SpokenWord {
  readonly word: string
  readonly from: number
  readonly to: number
}

/** One stretch of sound between two silences; in what is no speech to the engine there are no words. */
export interface Stretch {
  readonly kind: "speech" | "noise"
  readonly from: number
  readonly to: number
  readonly words: ReadonlyArray<SpokenWord>
}

export interface Manner {
  /** Sound of all stretches, ms. */
  readonly soundMs: number
  /** Written without spaces between words. */
  readonly unspaced: boolean
  /** How much of the sound is no speech: music, noise, another language. */
  readonly noise: number
  /** ms. */
  readonly pauses: readonly [number, number]
}

const words = [
  ..."no yes well so the a and then we I you it is was that this right okay good morning everybody maybe".split(" "),
  ..."never again tomorrow caption engine summer people think about nothing really question answer".split(" ")
]
const unspacedWords = [..."不是我你好的了在有人这上大中国来去说会"]

/** Hardly a pause between two words, and a long one; none of 360 ms, which would end the stretch. */
const GAP_MS = [40, 320] as const
/** Sound before and behind the words: what hearing keeps of an onset, and its hang-over. */
const LEAD_MS = [80, 340] as const
const TAIL_MS = [80, 480] as const

/** What one voice says, from `fromMs` of its audio on. */
export const make = (dice: Dice, manner: Manner, fromMs = 0): ReadonlyArray<Stretch> => {
  const vocabulary = manner.unspaced ? unspacedWords : words
  let last = dice.pick(vocabulary)
  const next = () => {
    // "no no no"
    if (!dice.chance(0.3)) last = dice.pick(dice.chance(0.5) ? vocabulary.slice(0, 6) : vocabulary)
    return last
  }
  const stretches: Array<Stretch> = []
  let atMs = fromMs
  let leftMs = manner.soundMs
  while (leftMs > 0) {
    const stretch = dice.chance(manner.noise) ? noise(dice, atMs) : speech(dice, next, atMs, leftMs)
    stretches.push(stretch)
    const soundMs = (stretch.to - stretch.from) / 24
    leftMs -= soundMs
    atMs += soundMs + 80 + dice.between(...manner.pauses)
  }
  return stretches
}

const noise = (dice: Dice, atMs: number): Stretch => {
  const from = samplesOfMs(atMs)
  return { kind: "noise", from, to: from + samplesOfMs(dice.between(200, 6_000)), words: [] }
}

const speech = (dice: Dice, next: () => string, atMs: number, atMostMs: number): Stretch => {
  const said: Array<SpokenWord> = []
  let endMs = atMs + dice.between(...LEAD_MS)
  const count = dice.chance(0.2) ? dice.between(1, 2) : dice.between(2, 22)
  for (let left = count; left > 0 && (said.length === 0 || endMs - atMs < atMostMs); left--) {
    const fromMs = endMs + (said.length === 0 ? 0 : dice.between(...GAP_MS))
    endMs = fromMs + dice.between(90, 450)
    said.push({ word: next(), from: samplesOfMs(fromMs), to: samplesOfMs(endMs) })
  }
  return {
    kind: "speech",
    from: samplesOfMs(atMs),
    to: samplesOfMs(endMs + dice.between(...TAIL_MS)),
    words: said
  }
}
