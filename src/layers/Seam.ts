/**
 * Seam: which of the first words of a new session were heard before. Both sessions began at the same place of the voice, so their words are
 * counted, not searched for: "no no" and "no no no" give one new word.
 */

/** What is gained by a word that both have, and lost by one that only one of them has; whole numbers, so that equal sums are equal. */
const MATCH = 10
const SIMILAR = 6
/** A word was missed the second time. */
const MISSED = 6
/** A word was only heard the second time: dearer, or a word that comes again later would swallow all before it. */
const ADDED = 9
/** Words that must follow before an inexact end counts: what the new session adds in between shows itself by then. */
const PROOF_WORDS = 2
/** Enough to count by; longer texts are compared by their end (a session is replayed 180 s at most, some 600 words, of which most are proven). */
const MOST_WORDS = 400
/** Of 1.6 KB at most: as many words as an engine changes behind those that are certain. */
const ROWS = 64

export interface Seam {
  /** What was said by the session before from the place on where the new one began. */
  readonly known: ReadonlyArray<string>
  /** `known` may begin with words from before that place. */
  readonly mayLead: boolean
  /**
   * How many of the fresh words, from the first on, were known; `undefined` while that cannot be told yet. Case and punctuation make no difference, a
   * word that is spelt a little differently is the same word. In doubt a word is said twice rather than lost. `fresh`: what the new session has
   * said; `isComplete`: no more words are waited for.
   */
  readonly overlap: (fresh: ReadonlyArray<string>, isComplete: boolean) => number | undefined
  /** How many of the known words, from the first on, all the fresh ones stand for: more are still to come. */
  readonly passed: (fresh: ReadonlyArray<string>) => number
}

/** Words that are asked about again, with more behind them, are not compared again; of texts that change further back than `ROWS` words all are. */
export const make = (known: ReadonlyArray<string>, mayLead: boolean): Seam => {
  const old = known.slice(-MOST_WORDS).map(plain)
  const skipped = known.length - old.length
  const leads = mayLead || skipped > 0
  const none = Int32Array.from({ length: old.length + 1 }, (_, k) => (leads ? 0 : -MISSED * k))
  const compared: Array<string> = []
  /** `rows[n][k]`: how well the first n fresh words stand for the first k known ones; only of the newest. */
  const rows: Array<Int32Array | undefined> = [none]
  /** The same for all the known words, of every n. */
  const ends = [none.at(-1) ?? 0]

  /** How well all of them stand for the first so many known ones. */
  const compare = (fresh: ReadonlyArray<string>): Int32Array => {
    let same = 0
    while (same < fresh.length && compared[same] === fresh[same]) same++
    const asked = rows[fresh.length]
    if (same === fresh.length && asked !== undefined) return asked
    if (rows[same] === undefined) same = 0
    compared.length = same
    rows.length = same + 1
    ends.length = same + 1
    let row = rows[same] ?? none
    for (const word of fresh.slice(same)) {
      row = rowBehind(row, old, plain(word))
      compared.push(word)
      ends.push(row.at(-1) ?? 0)
      if (rows.push(row) > ROWS + 1) rows[rows.length - ROWS - 1] = undefined
    }
    return row
  }

  return {
    known,
    mayLead,
    overlap: (fresh, isComplete) => {
      const row = compare(fresh)
      const all = fresh.length
      const repeated = best(ends.slice(0, all + 1))
      const fit = ends[repeated] ?? 0
      /** All fresh words are in the middle of the known ones. */
      const midway = Math.max(...row.subarray(0, old.length))
      const isExact = leads ? repeated > 0 && fit === repeated * MATCH && fit > midway : fit === old.length * MATCH
      const isProven = fit >= midway && all >= repeated + PROOF_WORDS
      return isExact || isProven || isComplete ? repeated : undefined
    },
    passed: (fresh) => skipped + best(compare(fresh))
  }
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

/** The row of one more fresh word. */
const rowBehind = (before: Int32Array, known: ReadonlyArray<string>, word: string): Int32Array => {
  const row = new Int32Array(before.length)
  row[0] = (before[0] ?? 0) - ADDED
  for (const [k, old] of known.entries()) {
    const either = Math.max((before[k + 1] ?? 0) - ADDED, (row[k] ?? 0) - MISSED)
    row[k + 1] = Math.max(either, (before[k] ?? 0) + likeness(old, word))
  }
  return row
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
const best = (scores: ArrayLike<number>): number => {
  let found = 0
  for (let at = 1; at < scores.length; at++) if ((scores[at] ?? 0) > (scores[found] ?? 0)) found = at
  return found
}
