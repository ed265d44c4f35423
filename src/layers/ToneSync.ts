/**
 * Finds where words begin in synthetic speech: from their sync tones, and from the grid of words where a sync was lost.
 */
import { blockMs } from "./ToneBank.ts"
import { leadMs, type ToneFormat } from "./ToneFormat.ts"

/** Where a word begins; assumed where its sync was not heard. */
export interface WordStart {
  readonly startMs: number
  readonly isAssumed: boolean
}

export interface ToneSync {
  /** An utterance began in this block. */
  readonly start: (index: number) => void
  /** Takes the strength (0…1) of the sync in the next block; gives the starts of words that became known. */
  readonly push: (index: number, strength: number, quietBlocks: number) => ReadonlyArray<WordStart>
}

/** Enough for the longest sync and the blocks around it. */
const historyBlocks = 16

/** Starts nearer than this are about the same word; the newer one is right. */
export const sameWordMs = (wordMs: number): number => wordMs / 3

export const make = ({ symbolMs, wordMs }: ToneFormat): ToneSync => {
  const strengths = new Float64Array(historyBlocks)
  const windowBlocks = symbolMs / blockMs
  /** Starts that were told, newest last. */
  let told: ReadonlyArray<WordStart> = []
  /** Where the grid predicts the next start. */
  let expectedMs: number | undefined

  const at = (index: number) => strengths[(index + historyBlocks) % historyBlocks] ?? 0
  const windowAt = (from: number) => {
    let sum = 0
    for (let i = 0; i < windowBlocks; i++) sum += at(from + i)
    return sum
  }
  const tell = (startMs: number, isAssumed: boolean): ReadonlyArray<WordStart> => {
    // A sync that was heard overrules one that was only assumed: an utterance that follows at once has a grid of its own.
    const isKnown = told.some(
      (other) => Math.abs(other.startMs - startMs) < sameWordMs(wordMs) && (isAssumed || !other.isAssumed)
    )
    if (isKnown) return []
    told = [...told.slice(-7), { startMs, isAssumed }]
    expectedMs = startMs + wordMs
    return [{ startMs, isAssumed }]
  }

  /** A sync ended two blocks before `index` if its window is the strongest around. */
  const found = (index: number): ReadonlyArray<WordStart> => {
    const from = index - windowBlocks - 2
    const strength = windowAt(from)
    // A third of a clean sync, whose tones hold 86 % of the energy.
    const isPeak =
      strength > 0.275 * windowBlocks &&
      strength >= windowAt(from - 1) &&
      strength > windowAt(from + 1) &&
      strength >= windowAt(from + 2) &&
      strength > windowAt(from - 2)
    if (!isPeak) return []
    let sum = 0
    let moment = 0
    for (let i = from - 1; i <= from + windowBlocks; i++) {
      sum += at(i)
      moment += at(i) * (i + 0.5)
    }
    return tell((moment / sum) * blockMs - symbolMs / 2, false)
  }

  /** 50 ms after a sync should have ended it is certain that none was found. */
  const assumed = (index: number, quietBlocks: number): ReadonlyArray<WordStart> => {
    if (expectedMs === undefined || index * blockMs <= expectedMs + symbolMs + 50) return []
    const startMs = expectedMs
    expectedMs = undefined
    // The pilot still sounded where the sync should have ended: the utterance was not over.
    return quietBlocks < 4 ? tell(startMs, true) : []
  }

  return {
    start: (index) => {
      told = []
      strengths.fill(0)
      expectedMs = index * blockMs + leadMs - 2
    },
    push: (index, strength, quietBlocks) => {
      strengths[index % historyBlocks] = strength
      return [...found(index), ...assumed(index, quietBlocks)]
    }
  }
}
