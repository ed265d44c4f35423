/**
 * The vocabulary of synthetic speech: 2,048 distinct words that can be read aloud, made of syllables.
 */

/** How many words there are; the modem carries 11 bits per word. */
export const vocabularySize = 2048

const onsets = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st"]
const vowels = ["a", "e", "i", "o"]
const endings = ["", "la", "mi", "no", "ra", "se", "ta", "vu"]
// 16 onsets × 4 vowels × 4 middles × 8 endings = 2,048. Every syllable is consonants then one vowel, so no two spellings collide.
const middles = ["do", "ki", "lu", "ne"]

/** The word with this index, 0…2047. */
export const wordText = (index: number): string => vocabulary[index] ?? ""

/** The index of a word, if it is one; upper case and punctuation around it do not matter. */
export const wordIndex = (text: string): number | undefined => indexes.get(text.toLowerCase().replaceAll(/[^a-z]/g, ""))

const vocabulary = onsets.flatMap((onset) =>
  vowels.flatMap((vowel) => middles.flatMap((middle) => endings.map((ending) => `${onset}${vowel}${middle}${ending}`)))
)

const indexes = new Map(vocabulary.map((word, index) => [word, index]))
