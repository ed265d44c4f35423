/**
 * Record: what every voice of a call has said, word by word, with the times at which it left the microphone.
 *
 * No two voices have a word in common, and a voice says all of its words before it says one again: hundreds of words lie between two that
 * are the same, so each word that is read names one that was said, the nearest.
 */
import * as ToneModem from "../../../src/layers/ToneModem.ts"
import * as ToneWords from "../../../src/layers/ToneWords.ts"

/** Times are ms since 1970, as `machineMs`. */
export interface Spoken {
  readonly word: string
  readonly startMs: number
  readonly endMs: number
}

export interface Record {
  readonly voices: ReadonlyArray<string>
  /** What a voice says, over and over: indices of the vocabulary. */
  readonly wordsOf: (voice: string) => ReadonlyArray<number>
  readonly said: (voice: string) => ReadonlyArray<Spoken>
  readonly note: (voice: string, word: string, endMs: number) => void
  /** Whose word this is. */
  readonly ownerOf: (word: string) => string | undefined
  /** The place among what the voice has said, of all where it said this word the nearest. */
  readonly nearest: (voice: string, word: string, place: number) => number | undefined
}

/** Prime to the size of any share: the order wanders through all words of a voice without repeating. */
const STRIDE = 97
/** A word without the pause behind it. */
const LENGTH_MS = ToneModem.normal.wordMs - ToneModem.normal.gapMs

export const make = (voices: ReadonlyArray<string>): Record => {
  const share = Math.floor(ToneWords.vocabularySize / voices.length)
  const shares = new Map(
    voices.map((voice, i) => [voice, Array.from({ length: share }, (_, j) => i * share + ((j * STRIDE) % share))])
  )
  const owners = new Map(
    [...shares].flatMap(([voice, words]) => words.map((word) => [ToneWords.wordText(word), voice]))
  )
  const said = new Map(voices.map((voice): [string, Array<Spoken>] => [voice, []]))
  const places = new Map<string, Array<number>>()
  return {
    voices,
    wordsOf: (voice) => shares.get(voice) ?? [],
    said: (voice) => said.get(voice) ?? [],
    note: (voice, word, endMs) => {
      const all = said.get(voice)
      if (all === undefined) return
      const same = places.get(word) ?? []
      same.push(all.length)
      places.set(word, same)
      all.push({ word, startMs: endMs - LENGTH_MS, endMs })
    },
    ownerOf: (word) => owners.get(word),
    nearest: (voice, word, place) => {
      if (owners.get(word) !== voice) return undefined
      const same = places.get(word) ?? []
      let best: number | undefined
      for (const one of same) if (best === undefined || Math.abs(one - place) < Math.abs(best - place)) best = one
      return best
    }
  }
}
