/**
 * ItemText: what one utterance of an engine reads, and how much of it went into finished segments already.
 */
import { joinText } from "../domain/Segment.ts"
import type { EndCause, Word } from "../domain/Speech.ts"
import * as Seam from "./Seam.ts"

export interface ItemText {
  readonly id: string
  /** Set once: the engine says no more about it. */
  done: EndCause | undefined
  /** The utterance it follows, as far as the engine said: `null` for none. */
  previous: string | null | undefined
  /** When the newest event about it came. */
  atMs: number
  /** A word that may grow is certain when another follows it. */
  readonly append: (word: Word, mayGrow: boolean) => void
  readonly replace: (text: string, stableLength: number, words: ReadonlyArray<Word>) => void
  /** All of it is certain now. */
  readonly settle: () => void
  /** Its unfinished part, given what of it was promised: committed text begins with `promised`, whatever the engine says now. */
  readonly since: (promised: string) => { readonly committed: string; readonly open: string }
  /** First and last known time of the unfinished part, or of its first `length` characters. */
  readonly times: (length?: number) => { readonly startMs?: number; readonly endMs?: number }
  /** Length of the unfinished part up to the last word that is known to begin before `ms`. */
  readonly before: (ms: number) => number
  /** `text`, the beginning of the unfinished part, is in a finished segment. */
  readonly finish: (text: string) => void
  /** It continues a segment that has promised this already: all of the above then begins with it. */
  readonly follow: (lead: string) => void
  /** What it says itself and is not finished: all of it, and the part that is certain. */
  readonly own: () => { readonly text: string; readonly certain: string }
  /** There is nothing to read in it. */
  readonly isSilent: () => boolean
  /** So many words of it, from the first on, were in segments before: for good, as they are certain. */
  readonly repeat: (words: number) => void
  /** The same, until it is asked again. */
  readonly hide: (words: number) => void
}

/** An utterance of which nothing is known yet. */
export const make = (id: string): ItemText => {
  /** In finished segments, as the engine reads it, with the space behind. */
  let cut = ""
  let tail = ""
  /** Length of the part of `tail` that will not change. */
  let stable = 0
  /** Of the segment that it continues, promised before its first word. */
  let lead = ""
  /** Characters of `tail` that are not shown. */
  let hidden = 0
  /** Words of `tail` with times; `end` is an offset in it. */
  let timed: Array<{ readonly end: number; readonly word: Word }> = []

  const read = (words: ReadonlyArray<Word>): void => {
    let end = -cut.length
    timed = []
    for (const [index, word] of words.entries()) {
      end += word.text.length + (index > 0 && word.joiner === "space" ? 1 : 0)
      if (end > 0) timed.push({ end, word })
    }
  }

  /** What is left of `tail`. */
  const pass = (rest: string): void => {
    const gone = tail.length - rest.length
    cut += tail.slice(0, gone)
    tail = rest
    hidden = 0
    stable = Math.max(0, stable - gone)
    timed = timed.flatMap(({ end, word }) => (end > gone ? [{ end: end - gone, word }] : []))
  }

  return {
    id,
    done: undefined,
    previous: undefined,
    atMs: 0,
    append: (word, mayGrow) => {
      const space = word.joiner === "space" ? " " : ""
      // the one that might have grown has not, or goes on to
      const before = space === "" ? stable : tail.length
      if (tail !== "") tail += space
      else if (cut !== "" && !/\s$/.test(cut)) cut += space
      tail += word.text
      stable = mayGrow ? before : tail.length
      if (word.startMs !== undefined || word.endMs !== undefined) timed.push({ end: tail.length, word })
    },
    replace: (text, stableLength, words) => {
      tail = behind(text, cut).trim()
      const gone = text.trimEnd().length - tail.length
      stable = wordBoundary(tail, Math.min(tail.length, Math.max(0, stableLength - gone)))
      read(words)
    },
    settle: () => {
      stable = tail.length
    },
    since: (promised) => {
      const own = lead !== "" && promised.startsWith(lead) ? promised.slice(lead.length).trimStart() : promised
      const visible = tail.slice(hidden)
      const sure = visible.slice(0, Math.max(0, stable - hidden)).trimEnd()
      const committed = agreed(own, sure)
      return { committed: joinText(lead, committed), open: behind(visible, committed).trim() }
    },
    times: (length = Number.POSITIVE_INFINITY) => {
      if (timed.length === 0) return {}
      const until = hidden + length - ledBy(lead)
      const within = timed.filter(({ end }) => end > hidden && end <= until)
      const startMs = within[0]?.word.startMs
      const endMs = within.findLast(({ word }) => word.endMs !== undefined)?.word.endMs
      return {
        ...(startMs === undefined || lead !== "" ? {} : { startMs }),
        ...(endMs === undefined ? {} : { endMs })
      }
    },
    before: (ms) => {
      const end = timed.findLast(({ word }) => word.startMs !== undefined && word.startMs < ms)?.end ?? 0
      return end <= hidden ? 0 : end - hidden + ledBy(lead)
    },
    finish: (text) => {
      const own = text.startsWith(lead) ? text.slice(lead.length).trimStart() : ""
      lead = text.startsWith(lead) ? "" : lead.slice(text.length).trimStart()
      if (lead === "") pass(behind(tail.slice(hidden), own).trimStart())
    },
    follow: (promised) => {
      lead = promised
    },
    own: () => ({ text: tail, certain: tail.slice(0, stable).trimEnd() }),
    isSilent: () => tail.slice(hidden).trim() === "",
    repeat: (words) => {
      hidden = 0
      pass(tail.slice(Seam.lengthOf(tail, words)).trimStart())
    },
    hide: (words) => {
      hidden = Seam.lengthOf(tail, words)
    }
  }
}

/** `promised` and what is certain beyond it. */
const agreed = (promised: string, sure: string): string => {
  if (sure.startsWith(promised)) return sure
  return promised.startsWith(sure) ? promised : joinText(promised, behind(sure, promised).trim())
}

/** `text` without what `said` says: exactly where it still begins so, else as many words. */
const behind = (text: string, said: string): string => {
  if (text.startsWith(said)) return text.slice(said.length)
  const words = said.match(/\S+/g)?.length ?? 0
  let rest = text.trimStart()
  for (let word = 0; word < words; word++) rest = rest.replace(/^\S+\s*/, "")
  return rest
}

/** The last place at or before `length` where a reader may put a space between two parts. */
const wordBoundary = (text: string, length: number): number => {
  if (length === text.length || /^[\s,.;:!?…%)\]}»”’]/.test(text.slice(length))) return length
  return text.slice(0, length).search(/\s\S*$/) + 1
}

/** What stands before the item's own text. */
const ledBy = (lead: string): number => (lead === "" ? 0 : lead.length + 1)
