/**
 * Words with times from what sherpa-onnx tells: a text, and the tokens it was put together from. Pure.
 */
import type { Word } from "../domain/Speech.ts"
import type { Report } from "./SherpaProtocol.ts"

type Text = Extract<Report, { readonly _tag: "Text" }>

/** s. Only the beginning of a token is known; a frame of the models is 40 or 80 ms. */
const TOKEN_SECONDS = 0.08

/** `msAt` places a second of the session's stream in the voice. */
export const wordsOf = (
  { logProbabilities, text, times, tokens }: Text,
  msAt: (seconds: number) => number
): ReadonlyArray<Word> => {
  const places = placesOf(text, tokens)
  let from = 0
  return text.split(/\s+/).map((word) => {
    const start = text.indexOf(word, from)
    from = start + word.length
    const own = places.flatMap((at, index) => (at >= start && at < from ? [index] : []))
    const [first, last] = [times[own[0] ?? -1], times[own.at(-1) ?? -1]]
    const logs = own.flatMap((index) => logProbabilities[index] ?? [])
    const confidence = logs.length === 0 ? undefined : Math.exp(logs.reduce((sum, one) => sum + one, 0) / logs.length)
    return {
      text: word,
      joiner: "space" as const,
      ...(first === undefined ? {} : { startMs: msAt(first) }),
      ...(last === undefined ? {} : { endMs: msAt(last + TOKEN_SECONDS) }),
      ...(confidence === undefined ? {} : { confidence: Math.min(1, confidence) })
    }
  })
}

/** Where each token's first letter stands in the text; −1 for those without letters or which cannot be found (an inverse text normaliser ran). */
const placesOf = (text: string, tokens: ReadonlyArray<string>): ReadonlyArray<number> => {
  let at = 0
  return tokens.map((token) => {
    const letters = token.replaceAll("\u2581", " ").trim()
    const found = letters === "" ? -1 : text.indexOf(letters, at)
    if (found >= 0) at = found + letters.length
    return found
  })
}
