/**
 * Format of synthetic speech: how a word becomes tones.
 *
 * All tones lie on 12.5 + 100·n Hz and are therefore orthogonal in every block of 10 ms. A pilot sounds through the whole utterance. A word
 * is a sync (two tones), then symbols of one tone per band, each tone one nibble, then a gap. The nibbles are 24 bits of payload, a CRC-16
 * and Reed-Solomon parity.
 */
import * as ReedSolomon from "./ReedSolomon.ts"

/** What one word carries. */
export interface ToneWord {
  /** 0…2047, index into the vocabulary. */
  readonly word: number
  /** 0…511. */
  readonly speaker: number
  /** 0…15, counted by the speaker from word to word. */
  readonly sequence: number
}

export interface ToneFormat {
  readonly name: "normal" | "fast" | "narrow"
  readonly symbolMs: number
  readonly symbols: number
  readonly gapMs: number
  /** Two tones before the symbols of a word. */
  readonly syncHz: readonly [number, number]
  /** Lowest tone of each band, Hz; the other 15 follow every 100 Hz. */
  readonly bands: ReadonlyArray<number>
  /** From the start of a word to the start of the next. */
  readonly wordMs: number
  readonly parity: number
  /** How many unreliable nibbles are tried as erased, by their position, given which are least reliable first. */
  readonly erasures: (leastReliableFirst: ReadonlyArray<number>) => Iterable<ReadonlyArray<number>>
}

export const limits = { words: 2048, speakers: 512, sequences: 16 } as const
export const pilotHz = 412.5
export const tonesPerBand = 16
export const toneSpacingHz = 100
/** Silence but for the pilot before the first word and after the last. */
export const leadMs = 60
export const trailMs = 20

/** 24 bits of payload and 16 of CRC. */
const dataNibbles = 10

/** Two whole symbols of two nibbles each, the least reliable first. */
const twoSymbols = function* (order: ReadonlyArray<number>): Iterable<ReadonlyArray<number>> {
  const symbols = [...new Set(order.map((nibble) => nibble >> 1))]
  for (const [i, later] of symbols.entries()) {
    for (const earlier of symbols.slice(0, i)) yield [2 * earlier, 2 * earlier + 1, 2 * later, 2 * later + 1]
  }
}

/** Two nibbles among the seven least reliable: 21 attempts, so a ruined word is taken for another once in 3,000 times at most. */
const twoNibbles = function* (order: ReadonlyArray<number>): Iterable<ReadonlyArray<number>> {
  for (const [i, later] of order.slice(0, 7).entries()) {
    for (const earlier of order.slice(0, i)) yield [earlier, later]
  }
}

const format = (of: Omit<ToneFormat, "wordMs" | "parity">): ToneFormat => ({
  ...of,
  wordMs: of.symbolMs * (1 + of.symbols) + of.gapMs,
  parity: of.symbols * of.bands.length - dataNibbles
})

/** 360 ms a word, 2.8 words/s: survives 10 % packet loss with 2–3 % of its words lost, none wrong. */
export const normal: ToneFormat = format({
  name: "normal",
  symbolMs: 40,
  symbols: 7,
  gapMs: 40,
  syncHz: [612.5, 4212.5],
  bands: [812.5, 2512.5],
  erasures: twoSymbols
})

/** 160 ms a word, 6.25 words/s: somebody in a hurry. Less redundancy: for transport that loses nothing. */
export const fast: ToneFormat = format({
  name: "fast",
  symbolMs: 20,
  symbols: 6,
  gapMs: 20,
  syncHz: [612.5, 4212.5],
  bands: [812.5, 2512.5],
  erasures: twoNibbles
})

/** 640 ms a word, nothing above 2.6 kHz: a telephone, or whatever else has 8,000 samples a second. */
export const narrow: ToneFormat = format({
  name: "narrow",
  symbolMs: 40,
  symbols: 14,
  gapMs: 40,
  syncHz: [612.5, 2512.5],
  bands: [812.5],
  erasures: twoNibbles
})

/** The payload of a word as the nibbles of its symbols, symbol by symbol, band by band. */
export const encodeWord = (word: ToneWord, { parity }: ToneFormat): ReadonlyArray<number> => {
  const payload = (word.word << 13) | (word.speaker << 4) | word.sequence
  const data = [...nibblesOf(payload, 6), ...nibblesOf(crc16(payload), 4)]
  return ReedSolomon.make(data.length + parity, parity).encode(data)
}

/**
 * The word that was meant, repaired where `reliability` (dB, one per nibble) says that nibbles may be wrong; undefined when the CRC
 * never fits.
 */
export const decodeWord = (
  nibbles: ReadonlyArray<number>,
  reliability: ReadonlyArray<number>,
  { erasures, parity }: ToneFormat
): ToneWord | undefined => {
  const code = ReedSolomon.make(nibbles.length, parity)
  if (code.isCodeword(nibbles)) return checked(nibbles)
  const order = nibbles.map((_, i) => i).sort((a, b) => (reliability[a] ?? 0) - (reliability[b] ?? 0))
  for (const positions of erasures(order)) {
    const filled = code.fillErasures(nibbles, positions)
    const word = filled === undefined ? undefined : checked(filled)
    if (word !== undefined) return word
  }
  return undefined
}

const checked = (nibbles: ReadonlyArray<number>): ToneWord | undefined => {
  const payload = numberOf(nibbles.slice(0, 6))
  if (crc16(payload) !== numberOf(nibbles.slice(6, dataNibbles))) return undefined
  return { word: payload >> 13, speaker: (payload >> 4) & 511, sequence: payload & 15 }
}

const nibblesOf = (value: number, count: number): Array<number> =>
  Array.from({ length: count }, (_, i) => (value >> (4 * (count - 1 - i))) & 15)

const numberOf = (nibbles: ReadonlyArray<number>): number => nibbles.reduce((value, nibble) => (value << 4) | nibble, 0)

/** CRC-16/CCITT over the 24 bits of payload. */
const crc16 = (payload: number): number => {
  let register = 0xffff
  for (let bit = 23; bit >= 0; bit--) {
    const overflow = ((payload >> bit) & 1) ^ (register >> 15)
    register = (register << 1) & 0xffff
    if (overflow === 1) register ^= 0x1021
  }
  return register
}
