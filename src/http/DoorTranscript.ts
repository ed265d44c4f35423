/**
 * What was said in one streaming session: finals since it began or was reset, where each segment is in the client's audio, and which segments
 * belong to audio that was to be forgotten.
 */
import type { Gap } from "../domain/Caption.ts"
import { isFinal, type Segment, textOf } from "../domain/Segment.ts"
import type { SaidLine } from "./Dialect.ts"

/** A segment and where it is, ms of the client's audio. */
export interface PlacedSegment {
  readonly segment: Segment
  readonly startMs: number
  readonly endMs: number
}

export interface DoorTranscript {
  /** Places a state of a segment that came when `heardMs` had been heard; `undefined` when it is not to be told. */
  readonly take: (segment: Segment, heardMs: number) => PlacedSegment | undefined
  /** Words are missing there; `false` when it is not to be told. */
  readonly interrupted: (gap: Gap) => boolean
  /** Speech began there: where the next segment without times is taken to begin. */
  readonly speechStarted: (atMs: number) => void
  /** Everything said up to there came, or is not waited for any longer. */
  readonly settled: (throughMs: number) => void
  readonly isSettled: (throughMs: number) => boolean
  /** Forgets everything, also what is still to come of speech that ended there. */
  readonly reset: (spokenMs: number) => void
  readonly said: () => ReadonlyArray<SaidLine>
  /** The same as text, with a mark where words are missing. */
  readonly record: () => ReadonlyArray<string>
}

export const make = (): DoorTranscript => {
  let lines: Array<SaidLine | Gap> = []
  /** The segments that are open, oldest first: where they begin, or that nobody is to hear of them. */
  const open = new Map<string, number | "Forgotten">()
  let speechMs = 0
  /** End of the newest final. */
  let saidMs = 0
  let settledMs = 0
  /** What the open segment reads, and how much had been heard when it last changed. */
  let shown = ""
  let grownMs = 0
  /** Speech before this is forgotten. */
  let forgottenMs = 0

  const begin = (segment: Segment, heardMs: number): number | "Forgotten" => {
    if (settledMs < forgottenMs && (segment.startMs ?? 0) < forgottenMs) return "Forgotten"
    const startMs = segment.startMs ?? Math.min(heardMs, Math.max(speechMs, saidMs))
    open.set(segment.id, startMs)
    return startMs
  }

  return {
    take: (segment, heardMs) => {
      const known = open.get(segment.id) ?? begin(segment, heardMs)
      if (textOf(segment) !== shown) grownMs = heardMs
      shown = isFinal(segment) ? "" : textOf(segment)
      if (isFinal(segment)) open.delete(segment.id)
      else open.set(segment.id, known)
      if (known === "Forgotten") return undefined
      const startMs = segment.startMs ?? known
      // speech that has begun since its last word is not in it
      const isBefore = segment.final === "Silence" && grownMs < speechMs
      const endMs = Math.max(startMs, segment.endMs ?? (isBefore ? Math.min(heardMs, speechMs) : heardMs))
      if (isFinal(segment)) {
        saidMs = endMs
        const text = textOf(segment).trim()
        if (text !== "") lines.push({ text, startMs, endMs })
      }
      return { segment, startMs, endMs }
    },
    interrupted: (gap) => {
      if (settledMs < forgottenMs && gap.atMs < forgottenMs) return false
      lines.push(gap)
      return true
    },
    speechStarted: (atMs) => {
      speechMs = atMs
    },
    settled: (throughMs) => {
      settledMs = Math.max(settledMs, throughMs)
    },
    isSettled: (throughMs) => settledMs >= throughMs,
    reset: (spokenMs) => {
      lines = []
      for (const id of open.keys()) open.set(id, "Forgotten")
      forgottenMs = spokenMs
    },
    said: () => lines.filter(isSaid),
    record: () => lines.map((line) => (isSaid(line) ? line.text : recordOf(line)))
  }
}

const isSaid = (line: SaidLine | Gap): line is SaidLine => "text" in line

/** Reads the same in every language: "[… 12 s …]". */
const recordOf = ({ lengthMs }: Gap): string => `[… ${Math.max(1, Math.round(lengthMs / 1000))} s …]`
