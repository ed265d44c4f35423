/**
 * What became of the words: which arrived, and how long each took outside of the engine.
 */
import type { Heard, ToldWord } from "./Wire.ts"

export interface Words {
  readonly spoken: number
  readonly delivered: number
  readonly lost: number
  readonly duplicated: number
  /** That the client never said: somebody else's, or mutilated. */
  readonly foreign: number
}

/** Each client's finals against what it said, in order. Clients say the same words again only after 31 others. */
export const wordsOf = (all: ReadonlyArray<Heard>): Words => {
  const sum = { spoken: 0, delivered: 0, lost: 0, duplicated: 0, foreign: 0 }
  for (const { spoken, words } of all) {
    const own = new Set(spoken)
    const matched = align(spoken, words)
    const delivered = matched.filter((at) => at !== undefined).length
    sum.spoken += spoken.length
    sum.delivered += delivered
    sum.lost += spoken.length - delivered
    for (const [at, word] of words.entries()) {
      if (matched[at] !== undefined) continue
      if (own.has(bare(word))) sum.duplicated++
      else sum.foreign++
    }
  }
  return sum
}

/**
 * ms from the message with the last sound of a word to the message with the word, less what the engine had it for, of words that ended between
 * two times.
 */
export const delaysOf = (
  all: ReadonlyArray<Heard>,
  log: ReadonlyArray<ToldWord>,
  window: { readonly fromMs: number; readonly untilMs: number }
): ReadonlyArray<number> => {
  const bySpeaker = Map.groupBy(log, ({ speaker }) => speaker)
  return all.flatMap(({ number, seenAtMs, sentAtMs, spoken, words }) => {
    const told = bySpeaker.get(number) ?? []
    const heard = align(
      spoken,
      told.map(({ text }) => text)
    )
    const engineMs = new Map(
      told.flatMap(({ audioArrivedAtMs, tokenSentAtMs }, at) => {
        const place = heard[at]
        return place === undefined ? [] : [[place, tokenSentAtMs - audioArrivedAtMs] as const]
      })
    )
    return align(spoken, words).flatMap((place, at) => {
      const [sent, seen, engine] = [sentAtMs[place ?? -1], seenAtMs[at], engineMs.get(place ?? -1)]
      if (sent === undefined || seen === undefined || engine === undefined) return []
      return sent < window.fromMs || sent > window.untilMs ? [] : [seen - sent - engine]
    })
  })
}

/** How far ahead a word is looked for: fewer than a client has. */
const REACH = 24

/** For each word that came, which of those that were said it is; each at most once, in order. */
const align = (spoken: ReadonlyArray<string>, came: ReadonlyArray<string>): ReadonlyArray<number | undefined> => {
  let next = 0
  return came.map((word) => {
    const at = spoken.slice(next, next + REACH).indexOf(bare(word))
    if (at < 0) return undefined
    next += at + 1
    return next - 1
  })
}

const bare = (word: string) => word.toLowerCase().replaceAll(/[^a-z]/g, "")
