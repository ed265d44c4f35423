/**
 * Text as OpenAI writes it (pieces of any length, spaces where they belong) as words with what stands before each, and how sure it was.
 */
import type { Word } from "../domain/Speech.ts"
import type { LogProb } from "./OpenAiProtocol.ts"

/** The words of `text`; the first has a space before it when the text begins with one or what came before ended with one. */
export const wordsOf = (
  text: string,
  options: { readonly spaceBefore: boolean; readonly logprobs?: ReadonlyArray<LogProb> | null | undefined }
): ReadonlyArray<Word> => {
  const sureness = surenessOf(text, options.logprobs ?? [])
  return [...text.matchAll(/\S+/gu)].map((found) => {
    const confidence = sureness(found.index, found.index + found[0].length)
    const joiner = found.index > 0 || options.spaceBefore ? "space" : "none"
    return confidence === undefined ? { text: found[0], joiner } : { text: found[0], joiner, confidence }
  })
}

/**
 * How sure the engine was of a stretch of `text`: the geometric mean over the tokens that have a part in it. Nothing where the tokens are
 * not this text: then nobody knows which belongs where.
 */
const surenessOf = (
  text: string,
  tokens: ReadonlyArray<LogProb>
): ((from: number, to: number) => number | undefined) => {
  const spelled = tokens.map(({ token }) => token).join("")
  const offset = text.length - text.trimStart().length - (spelled.length - spelled.trimStart().length)
  if (spelled.trim() === "" || spelled.trim() !== text.trim()) return () => undefined
  const ends: Array<number> = []
  for (const { token } of tokens) ends.push((ends.at(-1) ?? offset) + token.length)
  return (from, to) => {
    const within = tokens.filter((_, i) => (ends[i] ?? 0) > from && (ends[i - 1] ?? offset) < to)
    if (within.length === 0) return undefined
    const mean = within.reduce((sum, { logprob }) => sum + logprob, 0) / within.length
    return Math.min(1, Math.exp(mean))
  }
}
