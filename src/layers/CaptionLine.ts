/**
 * What one voice has to say: its segments in order, how much of each was finalised on the screens, and what stands open there.
 *
 * Plain and synchronous; time is an argument. A line decides what its next caption is (whole open text, paced; clause-sized finals), not
 * whether it is its turn nor who reads it.
 */
import { cutAt, isSayable, lastClauseEnd, lateCut, leadingMarks } from "../domain/Clause.ts"
import { beginAlike, offsetBehind } from "../domain/Remainder.ts"
import { isFinal, joinText, type Segment, textOf } from "../domain/Segment.ts"

/** Between two partials of a segment: more often nobody can read, and each costs every viewer a re-layout. */
export const partialEveryMs = 200
/** Characters up to which a final is not split: a few words alone on the next line read worse than a longer line. */
const wholeFinal = 120
/** Finals of one voice that wait to be sent; the oldest goes first. */
export const maxWaiting = 1_000

export type Step =
  | { readonly _tag: "Idle"; readonly untilMs: number }
  | { readonly _tag: "Partial"; readonly text: string }
  /** `to`: how far the segment is said with it. */
  | { readonly _tag: "Final"; readonly text: string; readonly to: number }

/** A token that no message has carried yet. */
export interface Token {
  readonly atMs: number
  readonly publishedMs: number
  readonly end: number
}

export interface CaptionLine {
  /** Takes a newer state of a segment; older ones and those of finished segments are ignored. Returns how many finals had to go for it. */
  readonly take: (segment: Segment, nowMs: number) => number
  readonly hasUnsaid: () => boolean
  /** Since when the oldest unsaid word has been here. */
  readonly unsaidSinceMs: () => number | undefined
  /** The open text as readers have it; `undefined` when nothing is open. */
  readonly shown: () => string | undefined
  /** `isContested`: somebody waits for this line's clause to end. */
  readonly next: (nowMs: number, isContested: boolean) => Step
  /** The step was carried out. Returns the tokens which it was the first to carry. */
  readonly did: (step: Step, nowMs: number) => ReadonlyArray<Token>
  /** What stands on the screens ends here: `text` is what readers certainly have of it. What lies behind will be said as something new. */
  readonly cut: (text: string) => void
  /** Everything known now is to be said as final. */
  readonly hurry: () => void
  /** The open text is sent again: the last partial may be lost. */
  readonly repeat: () => void
  /** What is known by now is never said: nobody reads. */
  readonly skip: () => void
  /** What is promised or stands open, in order; and what of it, or of what was finalised, is `ahead` of the promise. */
  readonly unsaid: () => { readonly texts: ReadonlyArray<string>; readonly ahead: string }
  /** Everything is given up; returns how many finals that were. */
  readonly giveUp: () => number
}

interface Utterance {
  segment: Segment
  /** Committed characters that are finalised. */
  base: number
  /** Finalised words behind `base` which were open when they were finalised, and may read differently by now. */
  frozen: string
  shown: string | undefined
  /** What is shown was committed: it stands in the text as it is, even if a word goes on behind it. */
  isShownCommitted: boolean
  isStale: boolean
  isHurried: boolean
  partialMs: number
  /** The newest token noted. */
  tokenMs: number
  tokens: Array<Token>
}

const ordinalOf = (id: string): number => Number(id.slice(id.lastIndexOf(":") + 1))

/** The unsaid text, trimmed; its offset in the segment; how much of it is committed. */
const restOf = ({ base, frozen, segment }: Utterance) => {
  const full = textOf(segment)
  const from = frozen === "" ? base : base + offsetBehind(frozen, full.slice(base))
  const behind = full.slice(from)
  const start = from + (from === 0 ? behind.length - behind.trimStart().length : leadingMarks(behind))
  const text = full.slice(start).trimEnd()
  return { start, text, committed: Math.max(0, Math.min(segment.committed.length - start, text.length)) }
}

/** What was finalised behind all that is promised. */
const frozenBehind = ({ base, frozen, segment }: Utterance): string =>
  frozen === "" ? "" : frozen.slice(offsetBehind(segment.committed.slice(base), frozen)).trim()

/** What would have to be final if it ended here: what is promised, and what stands open; and how much of all that was never promised. */
const dueOf = (one: Utterance) => {
  const { committed, start, text } = restOf(one)
  const shown = one.shown ?? ""
  const length = text.startsWith(shown) ? Math.max(committed, shown.length) : text.length
  const openShown = textOf(one.segment).slice(Math.max(start, one.segment.committed.length), start + length)
  return {
    text: text.slice(0, length).trimEnd(),
    ahead: joinText(frozenBehind(one), openShown.trim())
  }
}

const hasWork = (one: Utterance): boolean => one.shown !== undefined || isSayable(restOf(one).text)

export const make = (): CaptionLine => {
  const utterances: Array<Utterance> = []
  let newestGone = -1
  /** Finalised with the newest segment, though its sentence ended before: begins the next one. */
  let ahead = ""

  /** The one on the screens, else the first with something to say. Those which are through are forgotten. */
  const current = (): Utterance | undefined => {
    for (const one of [...utterances]) {
      if (isFinal(one.segment) && !hasWork(one)) remove(one)
    }
    return utterances.find((one) => one.shown !== undefined) ?? utterances.find(hasWork)
  }
  const remove = (one: Utterance) => {
    newestGone = Math.max(newestGone, ordinalOf(one.segment.id))
    utterances.splice(utterances.indexOf(one), 1)
  }

  const begin = (segment: Segment): Utterance => ({
    segment,
    base: 0,
    frozen: "",
    shown: undefined,
    isShownCommitted: false,
    isStale: false,
    isHurried: false,
    partialMs: Number.NEGATIVE_INFINITY,
    tokenMs: Number.NEGATIVE_INFINITY,
    tokens: []
  })

  /** What was finalised of a text that was cut into two segments since is not said by the second one. */
  const passOn = (one: Utterance, more: string) => {
    const { final } = one.segment
    if (final !== "SentenceEnd" && final !== "MaxLength") return
    const next = utterances[utterances.indexOf(one) + 1]
    const before = next === undefined ? ahead : next.frozen
    const words = joinText(before, more)
    if (next === undefined) ahead = words
    else follow(next, words)
  }
  const follow = (one: Utterance, before: string) => {
    const isUntouched = one.base === 0 && one.shown === undefined
    if (isUntouched && isSayable(before) && beginAlike(before, textOf(one.segment))) one.frozen = before
  }

  const take: CaptionLine["take"] = (segment, nowMs) => {
    let one = utterances.find((other) => other.segment.id === segment.id)
    if (one === undefined) {
      if (ordinalOf(segment.id) <= newestGone) return 0
      one = begin(segment)
      follow(one, ahead)
      ahead = ""
      utterances.push(one)
    } else if (segment.revision <= one.segment.revision || isFinal(one.segment)) return 0
    one.segment = segment
    if (isFinal(segment)) passOn(one, frozenBehind(one))
    if (segment.tokenAtMs > one.tokenMs) {
      one.tokenMs = segment.tokenAtMs
      one.tokens.push({ atMs: segment.tokenAtMs, publishedMs: nowMs, end: textOf(segment).length })
    }
    const oldest = utterances.find((other) => isFinal(other.segment) && other.shown === undefined)
    if (utterances.length <= maxWaiting || oldest === undefined) return 0
    remove(oldest)
    return 1
  }

  const stepOf = (one: Utterance, nowMs: number, isContested: boolean): Step => {
    const { committed, start, text } = restOf(one)
    const shown = one.shown ?? ""
    const final = (length: number): Step => ({
      _tag: "Final",
      text: text.slice(0, length).trimEnd(),
      to: start + length
    })
    // One voice says one thing after the other: with the next segment begun, this one is through.
    if (isFinal(one.segment) || one.isHurried || one !== utterances.at(-1)) {
      const length = text.length > wholeFinal ? cutAt(text, shown.length) : undefined
      // An engine may take everything back at the end; what was read stays.
      return isSayable(text) ? final(length ?? text.length) : { _tag: "Final", text: shown, to: start + text.length }
    }
    const settled = text.slice(0, committed)
    const length =
      cutAt(settled, shown.length) ??
      (isContested ? lastClauseEnd(settled, Math.max(1, shown.length), committed) : lateCut(settled))
    if (length !== undefined && isSayable(text.slice(0, length))) return final(length)
    if ((text === shown && !one.isStale) || !isSayable(text)) return { _tag: "Idle", untilMs: Number.POSITIVE_INFINITY }
    const dueMs = one.partialMs + partialEveryMs
    return nowMs < dueMs ? { _tag: "Idle", untilMs: dueMs } : { _tag: "Partial", text }
  }

  const carried = (one: Utterance, to: number): ReadonlyArray<Token> => {
    const isWhole = to >= textOf(one.segment).trimEnd().length
    const tokens = isWhole ? one.tokens : one.tokens.filter((token) => token.end <= to)
    one.tokens = isWhole ? [] : one.tokens.filter((token) => token.end > to)
    return tokens
  }

  /** Everything up to `to` is on the screens for good. */
  const settle = (one: Utterance, to: number) => {
    const full = textOf(one.segment)
    const isCommitted = to <= one.segment.committed.length
    one.frozen = isCommitted ? "" : full.slice(one.base, to).trim()
    if (isCommitted) one.base = to
    one.shown = undefined
    one.isStale = false
    if (to >= full.trimEnd().length) one.isHurried = false
  }

  return {
    take,
    hasUnsaid: () => current() !== undefined,
    unsaidSinceMs: () => current()?.tokens[0]?.publishedMs,
    shown: () => utterances.find((one) => one.shown !== undefined)?.shown,
    next: (nowMs, isContested) => {
      const one = current()
      return one === undefined ? { _tag: "Idle", untilMs: Number.POSITIVE_INFINITY } : stepOf(one, nowMs, isContested)
    },
    did: (step, nowMs) => {
      const one = current()
      if (one === undefined || step._tag === "Idle") return []
      if (step._tag === "Final") {
        // A late cut took words off the screens: they come back at once.
        if (step.to - restOf(one).start < (one.shown?.length ?? 0)) one.partialMs = Number.NEGATIVE_INFINITY
        // what was read of the next segment with this one
        if (!isSayable(restOf(one).text)) passOn(one, step.text)
        settle(one, step.to)
        return carried(one, step.to)
      }
      one.shown = step.text
      one.isShownCommitted = step.text.length <= restOf(one).committed
      one.isStale = false
      one.partialMs = nowMs
      return carried(one, textOf(one.segment).length)
    },
    cut: (text) => {
      const one = utterances.find((other) => other.shown !== undefined)
      if (one === undefined) return
      const before = frozenBehind(one)
      const { start } = restOf(one)
      const isCommitted = one.isShownCommitted && one.shown?.startsWith(text) === true
      if (isCommitted) one.base = start + text.length
      one.frozen = isCommitted ? "" : joinText(one.frozen, text)
      one.shown = undefined
      one.isStale = false
      passOn(one, frozenBehind(one).slice(before.length).trim())
    },
    hurry: () => {
      for (const one of utterances) one.isHurried = hasWork(one)
    },
    repeat: () => {
      for (const one of utterances) one.isStale = one.shown !== undefined
    },
    skip: () => {
      for (const one of utterances) {
        settle(one, textOf(one.segment).length)
        one.tokens = []
      }
    },
    unsaid: () => {
      const due = utterances.map(dueOf)
      return { texts: due.map(({ text }) => text).filter(isSayable), ahead: due.at(-1)?.ahead ?? ahead }
    },
    giveUp: () => {
      const finals = utterances.filter((one) => isFinal(one.segment)).length
      for (const one of [...utterances]) remove(one)
      return finals
    }
  }
}
