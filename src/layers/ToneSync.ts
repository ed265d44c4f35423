/**
 * Finds where words begin in synthetic speech: from their sync tones, and from the grid of words where a sync was lost.
 */
import { blockMs } from "./ToneBank.ts"
import { leadMs, type ToneFormat } from "./ToneFormat.ts"

export interface ToneSync {
  /** An utterance began in this block. */
  readonly start: (index: number) => void
  /** Takes the strength (0…1) of the sync in the next block; gives the starts (ms) of words that became certain. */
  readonly push: (index: number, strength: number, quietBlocks: number) => ReadonlyArray<number>
}

/** Enough for the longest sync and the blocks around it. */
const historyBlocks = 16

export const make = ({ symbolMs, wordMs }: ToneFormat): ToneSync => {
  const strengths = new Float64Array(historyBlocks)
  const windowBlocks = symbolMs / blockMs
  /** Starts that were told, newest last. */
  let told: ReadonlyArray<number> = []
  /** Where the grid predicts the next start. */
  let expectedMs: number | undefined

  const at = (index: number) => strengths[(index + historyBlocks) % historyBlocks] ?? 0
  const windowAt = (from: number) => {
    let sum = 0
    for (let i = 0; i < windowBlocks; i++) sum += at(from + i)
    return sum
  }
  const isNear = (startMs: number, toleranceMs: number) => told.some((other) => Math.abs(other - startMs) < toleranceMs)

  const tell = (startMs: number): ReadonlyArray<number> => {
    if (isNear(startMs, wordMs / 3)) return []
    told = [...told.slice(-7), startMs]
    expectedMs = startMs + wordMs
    return [startMs]
  }

  /** A sync ended two blocks before `index` if its window is the strongest around. */
  const found = (index: number): ReadonlyArray<number> => {
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
    return tell((moment / sum) * blockMs - symbolMs / 2)
  }

  /** 50 ms after a sync should have ended it is certain that none was found. */
  const assumed = (index: number, quietBlocks: number): ReadonlyArray<number> => {
    if (expectedMs === undefined || index * blockMs <= expectedMs + symbolMs + 50) return []
    const startMs = expectedMs
    expectedMs = undefined
    // The pilot still sounded where the sync should have ended: the utterance was not over.
    return quietBlocks < 4 && !isNear(startMs, symbolMs) ? tell(startMs) : []
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
