/**
 * Who says what and when: turns of a few words, now and then one that begins before the other has finished.
 */
import { normal } from "../src/layers/ToneModem.ts"
import { vocabularySize } from "../src/layers/ToneWords.ts"

/** One person's turn. */
export interface Turn {
  readonly speaker: number
  /** From the beginning of the scene. */
  readonly atMs: number
  readonly durationMs: number
  readonly words: ReadonlyArray<number>
  /** Somebody else speaks at the same time, or had just finished when it began. */
  readonly isCrossTalk: boolean
}

const pauseMs = 900
/** How far into somebody's turn another one starts. */
const interruptionShare = 0.55
/** A caption that waits for its turn waits no longer than this (the sink's rule), so a neighbour this near may be what it waits for. */
const neighbourMs = 1500

/** A deterministic scene of this length for this many speakers. Every speaker has words of its own and repeats none before all are said. */
export const write = (speakers: number, seconds: number): ReadonlyArray<Turn> => {
  const said = new Array<number>(speakers).fill(0)
  const freeAtMs = new Array<number>(speakers).fill(0)
  const wordsEach = Math.floor(vocabularySize / speakers)
  const turns: Array<Omit<Turn, "isCrossTalk">> = []
  let atMs = 500
  for (let i = 0; ; i++) {
    const speaker = (i + Math.floor(i / speakers)) % speakers
    const count = 3 + ((i * 5) % 6)
    const startMs = Math.max(atMs, (freeAtMs[speaker] ?? 0) + pauseMs)
    const durationMs = count * normal.wordMs + 100
    if (startMs + durationMs > seconds * 1000) return markCrossTalk(turns)
    const first = said[speaker] ?? 0
    const words = Array.from({ length: count }, (_, k) => speaker * wordsEach + (((first + k) * 97) % wordsEach))
    said[speaker] = first + count
    freeAtMs[speaker] = startMs + durationMs
    turns.push({ speaker, atMs: startMs, durationMs, words })
    const isInterrupted = i % 3 === 2 && speakers > 1
    atMs = startMs + (isInterrupted ? durationMs * interruptionShare : durationMs + pauseMs)
  }
}

const markCrossTalk = (turns: ReadonlyArray<Omit<Turn, "isCrossTalk">>): ReadonlyArray<Turn> =>
  turns.map((turn) => ({
    ...turn,
    isCrossTalk: turns.some(
      (other) =>
        other.speaker !== turn.speaker &&
        other.atMs < turn.atMs + turn.durationMs &&
        other.atMs + other.durationMs + neighbourMs > turn.atMs
    )
  }))
