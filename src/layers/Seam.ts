/**
 * Seam: which of the first words of a new session were heard before. Both sessions began at the same place of the voice, so their words are
 * counted, not searched for: "no no" and "no no no" give one new word.
 */

/** What is gained by a word that both have, and lost by one that only one of them has. */
const MATCH = 1
const SIMILAR = 0.6
/** A word was missed the second time. */
const MISSED = 0.6
/** A word was only heard the second time: dearer, or a word that comes again later would swallow all before it. */
const ADDED = 0.9
/** Words that must follow before an inexact end counts: what the new session adds in between shows itself by then. */
const PROOF_WORDS = 2
/** Enough to count by; longer texts are compared by their end (a session is replayed 180 s at most, some 600 words, of which most are proven). */
const MOST_WORDS = 400

export interface SeamOptions {
  /** What was said by the session before from the place on where the new one began. */
  readonly known: ReadonlyArray<string>
  /** What the new session has said for certain. */
  readonly fresh: ReadonlyArray<string>
  /** `known` may begin with words from before that place. */
  readonly mayLead: boolean
  /** No more words are waited for. */
  readonly isComplete: boolean
}

/**
 * How many of the fresh words, from the first on, were known; `undefined` while that cannot be told yet. Case and punctuation make no difference, a word
 * that is spelt a little differently is the same word. In doubt a word is said twice rather than lost.
 */
export const overlap = ({ fresh, isComplete, known, mayLead }: SeamOptions): number | undefined => {
  const old = known.slice(-MOST_WORDS).map(plain)
  const leads = mayLead || old.length < known.length
  const fits = align(old, fresh.map(plain), leads)
  const ends = fits.map((row) => row[old.length] ?? 0)
  const repeated = best(ends)
  const fit = ends[repeated] ?? 0
  /** All fresh words are in the middle of the known ones. */
  const midway = Math.max(...(fits.at(-1) ?? []).slice(0, old.length))
  const isExact = leads ? repeated > 0 && fit === repeated * MATCH && fit > midway : fit === old.length * MATCH
  const isProven = fit >= midway && fresh.length >= repeated + PROOF_WORDS
  return isExact || isProven || isComplete ? repeated : undefined
}

/** How many of the known words, from the first on, all the fresh ones stand for: more are still to come. */
export const passed = ({ fresh, known, mayLead }: Omit<SeamOptions, "isComplete">): number => {
  const old = known.slice(-MOST_WORDS).map(plain)
  const skipped = known.length - old.length
  const fits = align(old, fresh.map(plain), mayLead || skipped > 0)
  return skipped + best(fits[fresh.length] ?? [])
}

/** Text that is written without spaces is counted by its characters. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu

/** As they are counted. */
export const wordsOf = (text: string): ReadonlyArray<string> => text.match(WORD) ?? []

/** Length of the first so many words, with what stands before and the space behind them. */
export const lengthOf = (text: string, words: number): number => {
  const last = words === 0 ? undefined : [...text.matchAll(WORD)].at(words - 1)
  if (last === undefined) return words === 0 ? 0 : text.length
  const end = last.index + last[0].length
  return end + (/^\s+/.exec(text.slice(end))?.[0].length ?? 0)
}

/** As words are compared. */
const plain = (word: string): string => {
  const bare = word
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "")
  return bare === "" ? word : bare
}

/** `fits[n][k]`: how well the first n fresh words stand for the first k known ones. */
const align = (known: ReadonlyArray<string>, fresh: ReadonlyArray<string>, mayLead: boolean): Array<Array<number>> => {
  const first = [0, ...known.map((_, k) => (mayLead ? 0 : -MISSED * (k + 1)))]
  const fits = [first]
  let before = first
  for (const [n, word] of fresh.entries()) {
    const row = [-ADDED * (n + 1)]
    for (const [k, old] of known.entries()) {
      row.push(Math.max((before[k] ?? 0) + likeness(old, word), (before[k + 1] ?? 0) - ADDED, (row[k] ?? 0) - MISSED))
    }
    fits.push(row)
    before = row
  }
  return fits
}

/** Never worth it for different words: leaving one out and adding the other costs less. */
const likeness = (one: string, other: string): number => {
  if (one === other) return MATCH
  return isSimilar(one, other) ? SIMILAR : Number.NEGATIVE_INFINITY
}

/** One letter in four may differ, but not the first, none in short words and no digit: "to" and "two" are different words, "colour" and "color" are not. */
const isSimilar = (one: string, other: string): boolean => {
  const longer = Math.max(one.length, other.length)
  const allowed = Math.floor(longer / 4)
  if (longer < 5 || one[0] !== other[0] || /\p{N}/u.test(one + other) || Math.abs(one.length - other.length) > allowed)
    return false
  let before = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let at = 1; at <= one.length; at++) {
    const row = [at]
    for (let to = 1; to <= other.length; to++) {
      const changed = (before[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1)
      row.push(Math.min(changed, (before[to] ?? 0) + 1, (row[to - 1] ?? 0) + 1))
    }
    before = row
  }
  return (before[other.length] ?? longer) <= allowed
}

/** The place of the highest; of equals the first, so that fewer words are dropped. */
const best = (scores: ReadonlyArray<number>): number =>
  scores.reduce((found, score, at) => (score > (scores[found] ?? Number.NEGATIVE_INFINITY) ? at : found), 0)
