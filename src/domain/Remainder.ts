/**
 * What of a text has not been said yet. Words on a screen are never revised: when an engine changes its mind about words which have
 * already been finalised there, only what follows them is still to be said.
 */

interface Token {
  readonly word: string
  readonly end: number
}

const wordPattern =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]+/gu

const tokens = (text: string): Array<Token> =>
  [...text.matchAll(wordPattern)]
    .map((match) => ({
      word: match[0].toLowerCase().replace(/[^\p{L}\p{N}\p{M}\p{S}]/gu, ""),
      end: match.index + match[0].length
    }))
    .filter((token) => token.word !== "")

/** A word that grew ("runn", "running") is nearer than another word. */
const substitution = (one: string, other: string): number => {
  if (one === other) return 0
  return one.startsWith(other) || other.startsWith(one) ? 0.5 : 1
}

/**
 * Offset in `text` behind what corresponds to `said`: exact where `text` begins with it, else where the fewest words would have to
 * change (edit distance over words), and there nearest to the number of words said.
 */
export const offsetBehind = (said: string, text: string): number => {
  if (text.startsWith(said) && !/^[\p{L}\p{N}]/u.test(text.slice(said.length))) return said.length
  const before = tokens(said)
  // Nobody's revision doubles the number of words.
  const now = tokens(text).slice(0, before.length * 2 + 8)
  let row = Array.from({ length: now.length + 1 }, (_, words) => words)
  for (const [i, token] of before.entries()) {
    const next = [i + 1]
    for (const [k, other] of now.entries()) {
      next.push(
        Math.min((row[k] ?? 0) + substitution(token.word, other.word), (row[k + 1] ?? 0) + 1, (next[k] ?? 0) + 1)
      )
    }
    row = next
  }
  const last = before.at(-1)?.word
  let best = { words: 0, rank: Number.POSITIVE_INFINITY }
  for (const [words, cost] of row.entries()) {
    const endsAlike = words > 0 && now[words - 1]?.word === last
    // Equal costs: first those that end with the same word, then the nearest in number.
    const rank = cost + (endsAlike ? 0 : 0.01) + Math.min(Math.abs(words - before.length), 100) / 100_000
    if (rank < best.rank) best = { words, rank }
  }
  return now[best.words - 1]?.end ?? 0
}

/** Whether the words of one text begin the other. */
export const beginAlike = (one: string, other: string): boolean => {
  const [before, now] = [tokens(one), tokens(other)]
  const common = before.slice(0, now.length)
  return common.length > 0 && common.every(({ word }, at) => word === now[at]?.word)
}
