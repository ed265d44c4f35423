/**
 * Where a running text may be cut into captions. Talk's overlay scrolls slowly, so a caption is about a line long and ends with a clause.
 */
import { gapMark } from "./Segment.ts"

/** Characters. From `wanted` on a caption ends with its clause, at `most` it ends with a word; a clause shorter than `least` stays joined. */
export const captionLength = { least: 40, wanted: 80, most: 100 } as const

/** Marks that end a clause, with closing quotes and brackets; scripts without spaces need nothing behind them. */
const clauseMark = /[、。，！？；：]["”’»」』）)\]]*|[,;:.!?…–—،؛؟।]["'”’»)\]]*(?=\s|$)/gu
/** "3." at the end may go on as "3.5". */
const openNumber = /\d[.,:]$/
const closing = /[\s,.;:!?…%)\]}»”’、。，！？；：」』）،؛؟।]/u
const opening = /[([{«“‘「『（]/u
/** Scripts which are written without spaces between words. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u
const leadingPunctuation = /^(?:\s*[,.;:!?…%)\]}»”’、。，！？；：」』）،؛؟।]+(?=\s|$))*\s*/u

/** The last end of a clause at `from`…`to`, as an offset behind its mark. */
export const lastClauseEnd = (text: string, from: number, to: number): number | undefined => {
  let found: number | undefined
  for (const match of text.matchAll(clauseMark)) {
    const end = match.index + match[0].length
    if (end > to) break
    if (end >= from && !(end === text.length && openNumber.test(text))) found = end
  }
  return found
}

/** Whether words certainly end at `at`: what follows is another word, not the rest of this one or its punctuation. */
const isWordEnd = (text: string, at: number): boolean => {
  const before = text[at - 1] ?? ""
  const next = text.slice(at).match(/^\s*(\S)/u)?.[1] ?? ""
  if (next === "" || closing.test(next) || opening.test(before) || /\s/u.test(before)) return false
  if (/\s/u.test(text[at] ?? "")) return true
  return (unspaced.test(before) || unspaced.test(next)) && !/^\p{M}/u.test(text.slice(at))
}

const lastWordEnd = (text: string, from: number, to: number): number | undefined => {
  for (let at = Math.min(to, text.length); at >= from; at--) if (isWordEnd(text, at)) return at
  return undefined
}

const firstWordEnd = (text: string, from: number): number | undefined => {
  for (let at = from; at < text.length; at++) if (isWordEnd(text, at)) return at
  return undefined
}

/**
 * Where `committed` is to be cut, once it is long enough: behind a clause, else behind a word, and not before `shown`, the length of what
 * readers already have of it: a cut there would take words off their screens.
 */
export const cutAt = (committed: string, shown: number): number | undefined => {
  const { least, most, wanted } = captionLength
  if (committed.length < wanted) return undefined
  const clause = lastClauseEnd(committed, Math.max(least, shown), most)
  if (clause !== undefined || committed.length <= most) return clause
  const from = Math.max(shown, 1)
  return lastWordEnd(committed, from, most) ?? firstWordEnd(committed, Math.max(from, most))
}

/**
 * The same for engines whose committed text lags behind what readers see, so that no cut behind it can be waited for. The rest must follow
 * at once.
 */
export const lateCut = (committed: string): number | undefined => {
  const { least, most } = captionLength
  if (committed.length <= most * 1.2) return undefined
  return lastClauseEnd(committed, least, most) ?? lastWordEnd(committed, 1, most)
}

/** Characters at the start which belong behind what was said before: spaces and the punctuation that closes it. */
export const leadingMarks = (text: string): number => text.match(leadingPunctuation)?.[0].length ?? 0

/** Whether there is anything to read: punctuation alone is not a caption, unless it says that words are missing. */
export const isSayable = (text: string): boolean => /[^\p{P}\s]/u.test(text) || text.includes(gapMark)
