/**
 * What one speaker says, packet by packet, as numbers of the material. No two speakers say the phrases in the same order, so that what an engine
 * hears tells whose it is.
 */
import type { Material } from "./Material.ts"

export interface PartOptions {
  readonly speaker: number
  readonly speakers: number
  /** Share of the time in which they speak, 0–1. */
  readonly speaking: number
  /** How long the part is. */
  readonly packets: number
}

/** 6 s of speech at a time. */
const UTTERANCE_PHRASES = 4

/** 0.4 s, more than a voice hears of the time before it is noticed: its first frame begins with its speech, as in nature. */
const SILENT_FIRST = 20
/** 4 s, and an eighth of what is said at most. */
const BEGIN_WITHIN = 200

/**
 * Speakers begin one after the other, evenly: at any time the same number of them speaks, and their frames of 80 ms are full at different times,
 * as those of people are who did not begin in the same moment.
 */
export const make = (material: Material, { packets, speaker, speakers, speaking }: PartOptions): Uint16Array => {
  const { phrasePackets, phrases, silentPackets } = material
  const utterance = UTTERANCE_PHRASES * phrasePackets
  const cycle = Math.round(utterance / speaking)
  const random = randomOf(speaker)
  const firstSilent = phrases * phrasePackets
  const ahead = Math.floor((cycle * speaker) / speakers)
  const begin = SILENT_FIRST + Math.floor((Math.min(BEGIN_WITHIN, packets / 8) * speaker) / speakers)
  let order: Array<number> = []
  let phrase = 0
  return Uint16Array.from({ length: packets }, (_, n) => {
    const place = (n + ahead) % cycle
    if (place >= utterance || n < begin) return firstSilent + (n % silentPackets)
    const within = place % phrasePackets
    if (within === 0 || n === begin) {
      if (order.length === 0) order = shuffled(phrases, random)
      phrase = order.pop() ?? 0
    }
    return phrase * phrasePackets + within
  })
}

const shuffled = (length: number, random: () => number): Array<number> =>
  Array.from({ length }, (_, n) => ({ n, key: random() }))
    .toSorted((one, other) => one.key - other.key)
    .map(({ n }) => n)

/** The same for the same seed (mulberry32). */
const randomOf = (seed: number) => {
  let state = Math.imul(seed + 1, 0x9e37_79b9)
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
