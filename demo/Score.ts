/**
 * What was said against what was read.
 */
import type { ToldWord } from "../src/layers/KyutaiSimulator.ts"
import type { Reader } from "./Reader.ts"

/** A word that left a microphone. */
export interface SaidWord {
  readonly word: number
  /** Session id of who said it. */
  readonly speaker: string
  /** Its last sound, ms since 1970. */
  readonly endedAtMs: number
  readonly isCrossTalk: boolean
}

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** One reader's page, judged. */
export interface Verdict {
  readonly reader: string
  readonly captioned: number
  readonly lost: number
  readonly duplicated: number
  /** Under a name that did not say it, or said by nobody. */
  readonly wrongSpeaker: number
  /** After a word that its speaker said later. */
  readonly disordered: number
  readonly rewritten: number
}

/** ms. */
export interface Latencies {
  /** Last sound of a word at the speaker to the first caption with it, as the reader feels it. */
  readonly felt: Percentiles
  /** The same without what the engine kept: words said while nobody else spoke. */
  readonly own: Percentiles
  /** Words said in cross-talk, where captions wait for their turn. */
  readonly ownInCrossTalk: Percentiles
}

/** Judges the page of one reader. */
export const judge = (reader: Reader, said: ReadonlyArray<SaidWord>): Verdict => {
  const shown = reader.words()
  const saidTimes = countsOf(said)
  const shownTimes = countsOf(shown)
  const difference = (more: ReadonlyMap<string, number>, less: ReadonlyMap<string, number>) =>
    sum([...more].map(([key, count]) => Math.max(0, count - (less.get(key) ?? 0))))
  const wrongSpeaker = shown.filter((one) => !saidTimes.has(keyOf(one))).length
  const surplus = difference(shownTimes, saidTimes)
  return {
    reader: reader.name,
    captioned: shown.length - surplus,
    lost: difference(saidTimes, shownTimes),
    duplicated: surplus - wrongSpeaker,
    wrongSpeaker,
    disordered: disordered(said, shown),
    rewritten: reader.rewritings()
  }
}

export const isClean = ({ disordered, duplicated, lost, rewritten, wrongSpeaker }: Verdict): boolean =>
  lost + duplicated + wrongSpeaker + disordered + rewritten === 0

/** Words that this reader never saw, and whether the engine told them. */
export const lostBy = (reader: Reader, said: ReadonlyArray<SaidWord>, told: ReadonlyArray<ToldWord>) => {
  const shownTimes = countsOf(reader.words())
  const toldWords = new Set(told.map(({ word }) => word))
  return said
    .filter((one) => !shownTimes.has(keyOf(one)))
    .map(({ speaker, word }) => ({ reader: reader.name, speaker, word, wasTold: toldWords.has(word) }))
}

/** Latencies of all words at all readers; words that were said twice are left out, since nobody knows which was read. */
export const latencies = (
  readers: ReadonlyArray<Reader>,
  said: ReadonlyArray<SaidWord>,
  told: ReadonlyArray<ToldWord>
): Latencies => {
  const times = countsOf(said)
  const engineMs = new Map(told.map((word) => [word.word, word.tokenSentAtMs - word.audioArrivedAtMs]))
  const measured = said
    .filter((word) => times.get(keyOf(word)) === 1)
    .flatMap((word) =>
      readers.flatMap((reader) => {
        const seenMs = reader.firstSeenMs(word.word)
        const keptMs = engineMs.get(word.word)
        if (seenMs === undefined || keptMs === undefined) return []
        const felt = seenMs - word.endedAtMs
        return [{ felt, own: felt - keptMs, isCrossTalk: word.isCrossTalk }]
      })
    )
  return {
    felt: percentiles(measured.map(({ felt }) => felt)),
    own: percentiles(measured.filter(({ isCrossTalk }) => !isCrossTalk).map(({ own }) => own)),
    ownInCrossTalk: percentiles(measured.filter(({ isCrossTalk }) => isCrossTalk).map(({ own }) => own))
  }
}

interface Attributed {
  readonly word: number | undefined
  readonly speaker: string
}

const keyOf = ({ speaker, word }: Attributed) => `${word} ${speaker}`

const countsOf = (words: ReadonlyArray<Attributed>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(keyOf(word), (counts.get(keyOf(word)) ?? 0) + 1)
  return counts
}

/** Words that stand behind one that was said later by the same speaker; repeated words prove nothing and are left out. */
const disordered = (said: ReadonlyArray<SaidWord>, shown: ReadonlyArray<Attributed>): number => {
  const times = countsOf(said)
  const places = new Map(said.filter((one) => times.get(keyOf(one)) === 1).map((one, place) => [keyOf(one), place]))
  const highest = new Map<string, number>()
  return shown.filter((one) => {
    const place = places.get(keyOf(one))
    const before = highest.get(one.speaker) ?? -1
    if (place === undefined) return false
    highest.set(one.speaker, Math.max(before, place))
    return place < before
  }).length
}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)

/** Whole milliseconds; 0 when there is nothing to measure. */
const percentiles = (values: ReadonlyArray<number>): Percentiles => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return { p50: at(0.5), p99: at(0.99) }
}
