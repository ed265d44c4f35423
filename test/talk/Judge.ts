/**
 * Judges what a reader saw, as the page renders it, against what was said.
 */
import { Schema } from "effect"
import type { ToldWord } from "./Engine.ts"
import type { Ledger, SaidWord } from "./Ledger.ts"
import { type Viewer, wordsOf } from "./Viewer.ts"

/** What a reader's page shows: one entry per block. */
export interface Shown {
  readonly reader: string
  readonly blocks: ReadonlyArray<{ readonly speaker: string; readonly text: string }>
  readonly rewrites: ReadonlyArray<{ readonly shown: string; readonly next: string }>
}

const words = Schema.Array(Schema.String)

export const Verdict = Schema.Struct({
  reader: Schema.String,
  expected: Schema.Finite,
  lost: words,
  duplicated: words,
  wrongSpeaker: words,
  /** Words nobody said. */
  invented: words,
  /** Words shown after a word that their speaker said later. */
  disordered: words,
  rewritten: Schema.Finite
})
export type Verdict = typeof Verdict.Type

const disorderedIn = (words: ReadonlyArray<string>, order: ReadonlyMap<string, number>): ReadonlyArray<string> => {
  let highest = -1
  return words.filter((word) => {
    const place = order.get(word) ?? -1
    if (place < highest) return true
    highest = place
    return false
  })
}

/** `expected` are the words that must have been read; what else was said may have been read, once. */
export const judge = (shown: Shown, ledger: Ledger, expected: ReadonlyArray<SaidWord>): Verdict => {
  const whoSaid = new Map(ledger.said.map(({ speaker, word }) => [word, speaker]))
  const order = new Map(ledger.said.map(({ word }, i) => [word, i]))
  const read = shown.blocks.flatMap(({ speaker, text }) =>
    wordsOf(text).map((word) => ({ word, speaker: ledger.speakerOf(speaker) ?? "somebody unknown" }))
  )
  const times = new Map<string, number>()
  for (const { word } of read) times.set(word, (times.get(word) ?? 0) + 1)
  const speakers = new Set(read.map(({ speaker }) => speaker))
  return {
    reader: shown.reader,
    expected: expected.length,
    lost: expected.filter(({ word }) => !times.has(word)).map(({ word }) => word),
    duplicated: [...times].filter(([, count]) => count > 1).map(([word]) => word),
    wrongSpeaker: read
      .filter(({ speaker, word }) => whoSaid.has(word) && whoSaid.get(word) !== speaker)
      .map(({ word }) => word),
    invented: [...times.keys()].filter((word) => !whoSaid.has(word)),
    disordered: [...speakers].flatMap((one) =>
      disorderedIn(
        read.filter(({ speaker }) => speaker === one).map(({ word }) => word),
        order
      )
    ),
    rewritten: shown.rewrites.length
  }
}

/** What is wrong, in words; empty when everything was read once, in order, under the right name. */
export const complaints = (verdict: Verdict): ReadonlyArray<string> => {
  const few = (what: string, words: ReadonlyArray<string>) =>
    words.length === 0 ? [] : [`${verdict.reader}: ${words.length} ${what} (${words.slice(0, 8).join(" ")})`]
  return [
    ...few("lost", verdict.lost),
    ...few("duplicated", verdict.duplicated),
    ...few("under the wrong name", verdict.wrongSpeaker),
    ...few("never said", verdict.invented),
    ...few("out of order", verdict.disordered),
    ...(verdict.rewritten === 0 ? [] : [`${verdict.reader}: ${verdict.rewritten} rewritten`])
  ]
}

/** Talk's sink sends a segment at most so often. */
const PACING_MS = 200

export interface Delay {
  /** The word's last sound at the speaker to the first message carrying it, without the time the engine kept it (audio in, token out). */
  readonly ms: number
  /** Part of it: the caption of the speaker had been sent less than 200 ms before the word came from the engine. */
  readonly pacingMs: number
}

/** For each word that was read, as far as its times are known. */
export const delays = (
  { firstSeen, received }: Pick<Viewer, "firstSeen" | "received">,
  said: ReadonlyArray<SaidWord>,
  told: ReadonlyArray<ToldWord>
): ReadonlyArray<Delay> => {
  const tokens = new Map(told.map((token) => [wordsOf(token.text)[0] ?? "", token]))
  return said.flatMap(({ atMs, word }) => {
    const [seen, token] = [firstSeen.get(word), tokens.get(word)]
    if (atMs === undefined || seen === undefined || token === undefined) return []
    const { speaker } = received.find((one) => one.atMs === seen) ?? {}
    const before = received.findLast((one) => one.atMs < seen && one.speaker === speaker && !one.final)
    const ms = seen - atMs - (token.tokenSentAtMs - token.audioArrivedAtMs)
    const waited = before === undefined ? 0 : before.atMs + PACING_MS - token.tokenSentAtMs
    return [{ ms, pacingMs: Math.min(ms, Math.max(0, waited)) }]
  })
}

/** The value below which `share` of all lie. */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
