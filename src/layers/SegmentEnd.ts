/**
 * Where a segment ends by what is in it: at the end of a sentence, else at 200 characters.
 */
import type { EndCause } from "../domain/Speech.ts"

/** A sentence shorter than this stays with the next one: captions would jump, and "Dr." is no sentence. */
const SENTENCE_CHARS = 12
const MAX_CHARS = 200

const SENTENCE_END = /[.!?…]+["'”’»)\]]*(?=\s|$)|[。！？]+[”’」』）]*/gu

export interface SegmentEnd {
  /** Characters of the committed text. */
  readonly at: number
  readonly cause: EndCause
}

/** Where committed text ends a segment; `open`: what follows it, and may change. `undefined`: it goes on. */
export const of = (committed: string, open: string): SegmentEnd | undefined => {
  for (const found of committed.matchAll(SENTENCE_END)) {
    const at = found.index + found[0].length
    // a quotation mark that is still open text belongs to the sentence
    const mayGrow = at === committed.length && /^["'”’»)\].!?…]/.test(open)
    if (at >= SENTENCE_CHARS && at <= MAX_CHARS && !mayGrow) return { at, cause: "SentenceEnd" }
  }
  if (committed.length <= MAX_CHARS) return undefined
  const space = committed.slice(0, MAX_CHARS + 1).search(/\s\S*$/)
  const at = space > 0 ? space : MAX_CHARS
  // never between the halves of a character
  return { at: /[\uD800-\uDBFF]/.test(committed.charAt(at - 1)) ? at - 1 : at, cause: "MaxLength" }
}
