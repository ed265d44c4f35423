/**
 * Recognises synthetic speech in audio: word by word, while it is being heard.
 */
import * as ToneBank from "./ToneBank.ts"
import * as ToneFormat from "./ToneFormat.ts"
import * as ToneSync from "./ToneSync.ts"

/**
 * What was heard. Times are ms since the first sample that was pushed.
 *
 * - `Word`: a word whose CRC fits; told at most 20 ms of audio after its last symbol.
 * - `Corrupt`: something was said here and cannot be understood.
 * - `Gap`: a speaker's count of words jumped: `missing` words (modulo 16, so 15 means that one was repeated) before `startMs`.
 */
export type ToneEvent =
  | ({ readonly _tag: "Word"; readonly startMs: number; readonly endMs: number } & ToneFormat.ToneWord)
  | { readonly _tag: "Corrupt"; readonly startMs: number; readonly endMs: number }
  | { readonly _tag: "Gap"; readonly speaker: number; readonly missing: number; readonly startMs: number }

export interface ToneDecoder {
  /** Takes any number of samples. */
  readonly push: (pcm: Float32Array) => void
  /** The audio is over: tells what is still inside. */
  readonly flush: () => void
}

/** Blocks kept for reading symbols back: more than the longest word. */
const historyBlocks = 64
/** Mean square of −56 dBFS: below is silence and costs nothing. */
const silence = 2.5e-6
/** 120 ms without the pilot end an utterance. */
const quietLimit = 12
/** First tone of the first band, behind pilot and sync. */
const firstBand = 3

/** Listens for words of `format` in mono audio at `sampleRate` Hz. */
export const make = (
  sampleRate: number,
  onEvent: (event: ToneEvent) => void,
  format: ToneFormat.ToneFormat = ToneFormat.normal
): ToneDecoder => {
  const bank = ToneBank.make(sampleRate, tonesOf(format))
  const sync = ToneSync.make(format)
  const block = new Float32Array(bank.blockSamples)
  const history = Array.from({ length: historyBlocks }, () => new Float64Array(bank.tones))
  const spokenMs = format.wordMs - format.gapMs
  const lastSequence = new Map<number, number>()
  let filled = 0
  let blocks = 0
  /** Blocks without pilot; an utterance is open while they are fewer than the limit. */
  let quiet = quietLimit
  let waiting: ReadonlyArray<ToneSync.WordStart> = []

  const read = ({ isAssumed, startMs }: ToneSync.WordStart) => {
    const readings = symbolStarts(format, startMs).flatMap((symbolMs) =>
      format.bands.map((_, band) => strongestTone(history, symbolMs, format.symbolMs, firstBand + 16 * band))
    )
    const endMs = startMs + spokenMs
    const word = ToneFormat.decodeWord(
      readings.map(({ tone }) => tone),
      readings.map(({ margin }) => margin),
      format
    )
    if (word === undefined) {
      // Another utterance began where the next word of the last one was assumed.
      const isSuperseded = isAssumed && waiting.some((other) => other.startMs > startMs && other.startMs < endMs)
      if (!isSuperseded) onEvent({ _tag: "Corrupt", startMs, endMs })
      return
    }
    const last = lastSequence.get(word.speaker)
    lastSequence.set(word.speaker, word.sequence)
    const missing = last === undefined ? 0 : (word.sequence - last - 1 + 16) % 16
    if (missing > 0) onEvent({ _tag: "Gap", speaker: word.speaker, missing, startMs })
    onEvent({ _tag: "Word", ...word, startMs, endMs })
  }

  const take = () => {
    const index = blocks++
    const energies = history[index % historyBlocks]
    if (energies === undefined) return
    const energy = block.reduce((sum, sample) => sum + sample * sample, 0)
    const isSilent = energy < silence * block.length
    if (isSilent) energies.fill(0)
    else bank.measure(block, energies)
    if (quiet >= quietLimit) {
      if (isSilent || (energies[0] ?? 0) < 0.25 * energy) return
      sync.start(index)
      quiet = 0
    }
    quiet = hasPilot(energies, block.length) ? 0 : quiet + 1
    for (const next of sync.push(index, isSilent ? 0 : syncStrength(energies, energy), quiet)) {
      const sameMs = ToneSync.sameWordMs(format.wordMs)
      const others = waiting.filter(({ startMs }) => Math.abs(startMs - next.startMs) >= sameMs)
      waiting = [...others, next].sort((a, b) => a.startMs - b.startMs)
    }
    const isOver = quiet >= quietLimit
    const heardMs = blocks * ToneBank.blockMs
    const complete = waiting.filter(({ startMs }) => isOver || heardMs >= startMs + spokenMs + 5)
    waiting = waiting.filter((start) => !complete.includes(start))
    complete.forEach(read)
  }

  const push = (pcm: Float32Array) => {
    let offset = 0
    while (offset < pcm.length) {
      const count = Math.min(block.length - filled, pcm.length - offset)
      block.set(pcm.subarray(offset, offset + count), filled)
      filled += count
      offset += count
      if (filled < block.length) return
      filled = 0
      take()
    }
  }

  return { push, flush: () => push(new Float32Array(block.length * (historyBlocks / 2))) }
}

const tonesOf = ({ bands, syncHz }: ToneFormat.ToneFormat): ReadonlyArray<number> => [
  ToneFormat.pilotHz,
  ...syncHz,
  ...bands.flatMap((lowest) =>
    Array.from({ length: ToneFormat.tonesPerBand }, (_, i) => lowest + ToneFormat.toneSpacingHz * i)
  )
]

const symbolStarts = ({ symbolMs, symbols }: ToneFormat.ToneFormat, startMs: number): Array<number> =>
  Array.from({ length: symbols }, (_, i) => startMs + symbolMs * (i + 1))

/** Amplitude over 0.01, an eighth of what it is made with. */
const hasPilot = (energies: Float64Array, samples: number): boolean => (energies[0] ?? 0) > (0.01 * 0.01 * samples) / 2

/** Share of the energy in the two sync tones, which must be of similar strength. */
const syncStrength = (energies: Float64Array, energy: number): number => {
  const low = energies[1] ?? 0
  const high = energies[2] ?? 0
  const share = Math.min(1, (low + high) / energy)
  return Math.min(low, high) > 0.1 * Math.max(low, high) ? share : 0.3 * share
}

/** The loudest of 16 tones during a symbol, and by how many dB. Blocks count by their overlap with the symbol. */
const strongestTone = (
  history: ReadonlyArray<Float64Array>,
  startMs: number,
  lengthMs: number,
  firstTone: number
): { readonly tone: number; readonly margin: number } => {
  const start = startMs / ToneBank.blockMs
  const end = start + lengthMs / ToneBank.blockMs
  let best = 0
  let second = 0
  let tone = 0
  for (let k = 0; k < ToneFormat.tonesPerBand; k++) {
    let sum = 0
    for (let index = Math.max(0, Math.floor(start)); index < end; index++) {
      const overlap = Math.min(index + 1, end) - Math.max(index, start)
      if (overlap > 0.3) sum += overlap * overlap * (history[index % historyBlocks]?.[firstTone + k] ?? 0)
    }
    if (sum > best) {
      second = best
      best = sum
      tone = k
    } else if (sum > second) second = sum
  }
  return { tone, margin: best > 0 ? 10 * Math.log10(best / (second + 1e-9)) : 0 }
}
