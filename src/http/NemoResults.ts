/**
 * What a NeMo client has not been told yet. Bounded: the newest partial, what became final since, and a few notices.
 */
import type { Event, SaidLine } from "./Dialect.ts"
import type { NemoConfig } from "./NemoMessages.ts"

type Placed = Extract<Event, { readonly _tag: "Segment" }>

export interface NemoResults {
  readonly partial: (event: Placed, text: string) => void
  readonly final: (event: Placed, text: string) => void
  /** Everything said so far is in finals. */
  readonly pause: () => void
  /** A message besides, before results. */
  readonly notice: (message: object) => void
  /** The first of what waits, several finals being told as one. */
  readonly one: () => ReadonlyArray<object>
  readonly all: (partials: boolean) => ReadonlyArray<object>
  /** Those that wait, one by one; a partial that waits is of no use then. */
  readonly finals: () => ReadonlyArray<object>
  readonly fullTranscript: (said: ReadonlyArray<SaidLine>, isAutomatic: boolean) => object
  /** Something became final since the last full transcript. */
  readonly hasNews: () => boolean
  readonly forget: () => void
  readonly configure: (config: NemoConfig) => void
}

interface Result {
  readonly text: string
  readonly segment: number
  readonly language: string
  readonly startMs: number
  readonly endMs: number
}

/** More finals than this wait only when somebody sends no audio and the engine talks: they become one. */
const MAX_FINALS = 100
const MAX_NOTICES = 10

export const make = (first: NemoConfig, now: () => number): NemoResults => {
  let config = first
  let notices: Array<object> = []
  let finals: Array<Result> = []
  let open: Result | undefined
  let automatic: object | undefined
  /** Finals since the beginning or the last reset, for full transcripts at pauses. */
  let texts: Array<string> = []
  let hasNews = false
  let segments = 0
  let segmentId = ""

  const timestamp = (): number => now() / 1000
  const ordinalOf = (id: string): number => {
    if (id !== segmentId) segments += 1
    segmentId = id
    return segments
  }
  const resultOf = ({ endMs, language, segment, startMs }: Placed, text: string): Result => ({
    text,
    segment: ordinalOf(segment.id),
    language,
    startMs,
    endMs
  })
  const messageOf = ({ endMs, language, segment, startMs, text }: Result, isFinal: boolean): object => ({
    type: isFinal ? "final" : "partial",
    text,
    timestamp: timestamp(),
    is_final: isFinal,
    model: `${config.model}-${config.variant}`,
    language,
    segment_id: segment,
    segment_start: seconds(startMs),
    segment_end: seconds(endMs)
  })
  const fullTranscript = (lines: ReadonlyArray<string>, isAutomatic: boolean): object => {
    hasNews = false
    automatic = undefined
    return { type: "full_transcript", text: lines.join(" "), timestamp: timestamp(), auto_commit: isAutomatic }
  }

  const takeNotices = (): ReadonlyArray<object> => notices.splice(0)
  const takeFinals = (): ReadonlyArray<object> => finals.splice(0).map((result) => messageOf(result, true))
  const takeAutomatic = (): ReadonlyArray<object> => {
    const message = automatic === undefined ? [] : [automatic]
    automatic = undefined
    return message
  }
  const takePartial = (): ReadonlyArray<object> => {
    const message = open === undefined ? [] : [messageOf(open, false)]
    open = undefined
    return message
  }

  return {
    partial: (event, text) => {
      const result = resultOf(event, text)
      if (config.partials && text !== "") open = result
    },
    final: (event, text) => {
      const result = resultOf(event, text.trim())
      if (open?.segment === result.segment) open = undefined
      if (result.text === "") return
      finals = finals.length < MAX_FINALS ? [...finals, result] : [joined([...finals, result])]
      if (config.vad) texts.push(result.text)
      hasNews = true
    },
    pause: () => {
      if (config.vad && hasNews) automatic = fullTranscript(texts, true)
    },
    notice: (message) => {
      notices = [...notices, message].slice(-MAX_NOTICES)
    },
    one: () => {
      const [notice] = notices
      if (notice !== undefined) return notices.splice(0, 1)
      if (finals.length > 0) return [messageOf(joined(finals.splice(0)), true)]
      return automatic === undefined ? takePartial() : takeAutomatic()
    },
    all: (partials) => [...takeNotices(), ...takeFinals(), ...takeAutomatic(), ...(partials ? takePartial() : [])],
    finals: () => {
      open = undefined
      return [...takeNotices(), ...takeFinals()]
    },
    fullTranscript: (said, isAutomatic) =>
      fullTranscript(
        said.map(({ text }) => text.trim()),
        isAutomatic
      ),
    hasNews: () => hasNews,
    forget: () => {
      finals = []
      texts = []
      open = undefined
      automatic = undefined
      hasNews = false
    },
    configure: (next) => {
      config = next
    }
  }
}

/** Of at least one. */
const joined = (results: ReadonlyArray<Result>): Result =>
  results.reduce((before, next) => ({ ...next, startMs: before.startMs, text: `${before.text} ${next.text}` }))

const seconds = (ms: number): number => Math.round(ms) / 1000
