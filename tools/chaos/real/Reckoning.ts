/**
 * Reckoning: what the faults did to the words. Pure: the record of what was said, what the readers saw, and what happened when.
 */
import type { Happened } from "./Breaking.ts"
import { kindOf } from "./Faults.ts"
import type { Place, Reading } from "./Reading.ts"
import type { Record, Spoken } from "./Record.ts"
import type { Deafness } from "./Stage.ts"
import type { Still } from "./Stillness.ts"

/** Sums over the words of all voices; of several readers the one that saw it worst. */
export interface Sums {
  readonly spoken: number
  readonly delivered: number
  /** Not delivered, and somebody could hear them. */
  readonly lost: number
  readonly duplicated: number
  readonly disordered: number
  readonly wrongSpeaker: number
  readonly invented: number
  readonly rewritten: number
  /** Not delivered, and nobody could hear them: between the break and the new subscription. */
  readonly unheard: number
  /** Not delivered, and said while this machine stood still. */
  readonly spoilt: number
  /** Longest that a word which was said waited for any word to be seen, ms. */
  readonly longestGapMs: number
}

/** One fault and what it did. */
export interface Reckoned {
  readonly happened: Happened
  /**
   * To the next caption of words said after it began or ended, or, where words were only delayed, from its end to the first of them; undefined:
   * none came, or nobody spoke.
   */
  readonly recoveryMs: number | undefined
  readonly lost: ReadonlyArray<Place & Spoken>
  readonly duplicated: ReadonlyArray<Place & Spoken>
  readonly unheard: number
  readonly figures: Readonly<globalThis.Record<string, number>>
}

export interface Reckoning {
  readonly sums: Sums
  readonly faults: ReadonlyArray<Reckoned>
  /** Lost or duplicated before any fault. */
  readonly unprovoked: number
}

export interface Seen {
  readonly record: Record
  /** From which of its words on each voice is judged. */
  readonly firstWord: ReadonlyMap<string, number>
  readonly readings: ReadonlyArray<Reading>
  readonly happened: ReadonlyArray<Happened>
  readonly deafness: (voice: string, breakMs: number) => Deafness | undefined
  readonly joins: ReadonlyArray<number>
  /** When people's packets left late because this machine did not run. */
  readonly still: ReadonlyArray<Still>
}

/** On its way through the network when a process is told to end; what the first packets of a new connection carry. */
const EDGE_MS = 150
/** A subscription that is not there so long after everything was mended is a fault of ours. */
const PATIENCE_MS = 30_000
/** The same of another process that takes a call over: it is there already. */
const TAKEN_OVER_MS = 6000
/** A fault shows in words that were said so long before it, which were still on their way. */
const BEFORE_MS = 3000

type Word = Spoken & Place

const wordsOf = ({ firstWord, record }: Pick<Seen, "record" | "firstWord">): ReadonlyArray<Word> =>
  record.voices
    .flatMap((voice) =>
      record
        .said(voice)
        .map((spoken, place) => ({ ...spoken, voice, place }))
        .slice(firstWord.get(voice) ?? 0)
    )
    .sort((a, b) => a.endMs - b.endMs)

/** What began later was not broken by this. */
const AT_ONCE_MS = 3000

/**
 * Since when, because of this fault, nothing of the voice reached the service, and until it did again by a new subscription. `undefined`: its
 * subscription lived on.
 */
const brokenBy = ({ deafness }: Pick<Seen, "deafness">, one: Happened, voice: string): Deafness | undefined => {
  if (kindOf(one.fault.kind).deaf !== true) return undefined
  const broken = deafness(voice, one.startMs)
  // Janus goes on sending to a process that is gone.
  if (/^(service|runner)-/.test(one.fault.kind)) return { fromMs: one.startMs, untilMs: broken?.untilMs }
  return broken === undefined || broken.fromMs > one.endMs + AT_ONCE_MS
    ? undefined
    : { ...broken, fromMs: Math.max(one.startMs, broken.fromMs) }
}

/** Why a word may be missing. */
const excuseOf = (seen: Seen) => {
  const windows = new Map(
    seen.record.voices.map((voice) => [
      voice,
      seen.happened.flatMap((one) => {
        const broken = brokenBy(seen, one, voice)
        if (broken === undefined) return []
        const patienceMs = one.fault.kind === "runner-kill" ? TAKEN_OVER_MS : PATIENCE_MS
        const untilMs = Math.min(broken.untilMs ?? Number.POSITIVE_INFINITY, one.endMs + patienceMs)
        return [{ fromMs: broken.fromMs, untilMs }]
      })
    ])
  )
  return ({ endMs, startMs, voice }: Word): "unheard" | "spoilt" | undefined => {
    for (const { fromMs, untilMs } of windows.get(voice) ?? []) {
      if (endMs > fromMs - EDGE_MS && startMs < untilMs + EDGE_MS) return "unheard"
    }
    const isSpoilt = seen.still.some((one) => endMs > one.fromMs - EDGE_MS && startMs < one.untilMs + EDGE_MS)
    return isSpoilt ? "spoilt" : undefined
  }
}

/** Longest wait for any word while one was to be waited for. */
const longestGap = (words: ReadonlyArray<Word>, seenMs: (word: Word) => number | undefined): number => {
  const delivered = words.flatMap((word) => {
    const atMs = seenMs(word)
    return atMs === undefined ? [] : [{ endMs: word.endMs, atMs }]
  })
  const seen = delivered.map(({ atMs }) => atMs).sort((a, b) => a - b)
  let longest = 0
  let next = 0
  for (const [i, at] of seen.entries()) {
    const after = seen[i + 1]
    if (after === undefined || after === at) continue
    // the first word, lost ones too, that was said and not seen when the wait began
    while (next < words.length && (words[next]?.endMs ?? 0) < at - BEFORE_MS) next++
    const awaited = words.slice(next, next + 40).find((word) => {
      const seenAt = seenMs(word)
      return seenAt === undefined ? word.endMs > at : seenAt > at
    })
    if (awaited !== undefined && awaited.endMs < after) longest = Math.max(longest, after - Math.max(at, awaited.endMs))
  }
  return longest
}

/** First seen by the last of the readers. */
const seenByAll = (readings: ReadonlyArray<Reading>) => (word: Word) => {
  let latest = 0
  for (const reading of readings) {
    const atMs = reading.seenMs(word.voice, word.place)
    if (atMs === undefined) return undefined
    latest = Math.max(latest, atMs)
  }
  return latest
}

const recovery = (words: ReadonlyArray<Word>, seenMs: (word: Word) => number | undefined, fromMs: number) => {
  const after = words.filter(({ startMs }) => startMs >= fromMs)
  const first = after.reduce<Word | undefined>((a, b) => (a === undefined || b.startMs < a.startMs ? b : a), undefined)
  let soonest: number | undefined
  for (const word of after) {
    const atMs = seenMs(word)
    if (atMs !== undefined && (soonest === undefined || atMs < soonest)) soonest = atMs
    if (soonest !== undefined && word.startMs > soonest) break
  }
  // Nobody is to blame for a silence.
  return first === undefined || soonest === undefined ? undefined : soonest - first.startMs
}

/** From the end of a fault that delays words to the first caption of what was said meanwhile. */
const firstDelayed = (words: ReadonlyArray<Word>, seenMs: (word: Word) => number | undefined, one: Happened) => {
  const seen = words.filter(({ startMs }) => startMs >= one.startMs).flatMap((word) => seenMs(word) ?? [])
  return seen.length === 0 ? undefined : Math.max(0, Math.min(...seen) - one.endMs)
}

const rejoined = (one: Happened, joins: ReadonlyArray<number>): Readonly<globalThis.Record<string, number>> => {
  const { answersMs, ...figures } = one.figures
  const joined = answersMs === undefined ? undefined : joins.find((atMs) => atMs > answersMs)
  return joined === undefined || answersMs === undefined
    ? figures
    : { ...figures, "rejoined after": joined - answersMs }
}

/** What each voice had to wait for until it was heard again, after its microphone sent again. */
const heardAgain = (seen: Seen, one: Happened): Readonly<globalThis.Record<string, number>> => {
  const waits = seen.record.voices.flatMap((voice) => {
    const untilMs = brokenBy(seen, one, voice)?.untilMs
    return untilMs === undefined ? [] : [Math.max(0, untilMs - one.endMs)]
  })
  return waits.length === 0 ? {} : { "heard after": Math.max(...waits) }
}

export const reckon = (seen: Seen): Reckoning => {
  const { happened, joins, readings, record } = seen
  const words = wordsOf(seen)
  const excuse = excuseOf(seen)
  const seenMs = seenByAll(readings)
  /** The newest fault that had begun when a word was on its way; -1: none. */
  const culprit = ({ endMs }: Spoken) => happened.findLastIndex(({ startMs }) => startMs < endMs + BEFORE_MS)
  const missing = words.filter(({ place, voice }) => readings.some((reading) => reading.shown(voice, place) === 0))
  const excused = missing.map((word) => ({ word, why: excuse(word) }))
  const lost = excused.filter(({ why }) => why === undefined).map(({ word }) => word)
  const spokenAt = ({ place, voice }: Place): Word => {
    const found = record.said(voice)[place]
    return { voice, place, word: found?.word ?? "", startMs: found?.startMs ?? 0, endMs: found?.endMs ?? 0 }
  }
  const worst = (count: (reading: Reading) => number) => Math.max(0, ...readings.map(count))
  const twice = [
    ...new Map(
      readings.flatMap(({ duplicated }) => duplicated.map((place) => [`${place.voice} ${place.place}`, place] as const))
    ).values()
  ].map(spokenAt)
  const of = (why: "unheard" | "spoilt") => excused.filter((one) => one.why === why)
  const faults = happened.map((one, i): Reckoned => {
    const kind = kindOf(one.fault.kind)
    const own = (some: ReadonlyArray<Word>) => some.filter((word) => culprit(word) === i)
    const recoveryMs = recovery(words, seenMs, kind.from === "start" ? one.startMs : one.endMs)
    const isDelay = kind.delays === true
    return {
      happened: one,
      recoveryMs: isDelay ? firstDelayed(words, seenMs, one) : recoveryMs,
      lost: own(lost),
      duplicated: own(twice),
      unheard: own(of("unheard").map(({ word }) => word)).length,
      figures: {
        ...(isDelay && recoveryMs !== undefined ? { "new words after": recoveryMs } : {}),
        ...rejoined(one, joins),
        ...heardAgain(seen, one)
      }
    }
  })
  return {
    sums: {
      spoken: words.length,
      delivered: words.length - missing.length,
      lost: lost.length,
      duplicated: twice.length,
      disordered: worst(({ disordered }) => disordered.length),
      wrongSpeaker: worst(({ wrongSpeaker }) => wrongSpeaker.length),
      invented: worst(({ invented }) => invented.length),
      rewritten: worst(({ rewritten }) => rewritten),
      unheard: of("unheard").length,
      spoilt: of("spoilt").length,
      longestGapMs: longestGap(words, seenMs)
    },
    faults,
    unprovoked: [...lost, ...twice].filter((word) => culprit(word) === -1).length
  }
}
