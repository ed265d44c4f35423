/**
 * What Amazon Transcribe makes of one stream, for synthetic speech: partial results of which more and more is stable, then a final. Plain and
 * synchronous.
 */
import * as ToneModem from "./ToneModem.ts"
import { wordText } from "./ToneWords.ts"

/** As on the wire; times are seconds of the stream. */
export interface SimulatedItem {
  readonly Content: string
  readonly Type: "pronunciation" | "punctuation"
  readonly StartTime: number
  readonly EndTime: number
  readonly Confidence?: number
  readonly Stable?: boolean
}

export interface SimulatedResult {
  readonly ResultId: string
  readonly StartTime: number
  readonly EndTime: number
  readonly IsPartial: boolean
  readonly LanguageCode?: string
  readonly Alternatives: ReadonlyArray<{ readonly Transcript: string; readonly Items: ReadonlyArray<SimulatedItem> }>
}

export interface SimulatedTranscribeOptions {
  /** Hz. */
  readonly rate: number
  readonly format: ToneModem.ToneFormat
  /** A full stop ends every utterance. */
  readonly punctuation: boolean
  /** Stable items are told as such. */
  readonly stabilises: boolean
  /** Told with every result, where languages are told apart. */
  readonly languageCode?: string | undefined
  /** Empty where there is nothing new. */
  readonly onResults: (results: ReadonlyArray<SimulatedResult>) => void
  readonly onFault: (fault: "corrupt" | "gap") => void
}

export interface SimulatedTranscribe {
  readonly push: (pcm: Float32Array) => void
  /** The input has ended: tells what is left. */
  readonly end: () => void
}

interface Heard {
  readonly text: string
  readonly startMs: number
  readonly endMs: number
}

/** A pause that ends an utterance. */
const PAUSE_MS = 500
/** A word is stable when so much audio came after it. */
const STABLE_MS = 300
/** The service tells that it is there also while nobody speaks. */
const IDLE_MS = 1_000

/** Makes the ears of one stream. The newest word is misheard until it is stable. */
export const make = (options: SimulatedTranscribeOptions): SimulatedTranscribe => {
  const { onResults, punctuation, rate, stabilises } = options
  let ordinal = 0
  let words: Array<Heard> = []
  let heardMs = 0
  let toldMs = 0
  /** What the newest partial looked like. */
  let shown = ""

  const decoder = ToneModem.toneDecoder(
    rate,
    (event) => {
      if (event._tag === "Corrupt") return options.onFault("corrupt")
      if (event._tag === "Gap") return options.onFault("gap")
      const { endMs, startMs, word } = event
      words.push({ text: wordText(word), startMs, endMs })
    },
    options.format
  )

  const isStable = ({ endMs }: Heard): boolean => heardMs - endMs >= STABLE_MS
  const itemOf = (word: Heard, isPartial: boolean): SimulatedItem => {
    const isSure = !isPartial || isStable(word)
    return {
      Content: isSure ? word.text : `${word.text.slice(0, -2)}x`,
      Type: "pronunciation",
      StartTime: word.startMs / 1000,
      EndTime: word.endMs / 1000,
      Confidence: isSure ? 0.98 : 0.4,
      ...(stabilises ? { Stable: isSure } : {})
    }
  }

  const tell = (isPartial: boolean): void => {
    const [first] = words
    const last = words.at(-1)
    if (first === undefined || last === undefined) return
    const items = words.map((word) => itemOf(word, isPartial))
    const text = items.map(({ Content }) => Content).join(" ")
    if (isPartial && text === shown) return
    shown = text
    const stop: SimulatedItem = {
      Content: ".",
      Type: "punctuation",
      StartTime: last.endMs / 1000,
      EndTime: last.endMs / 1000,
      ...(stabilises ? { Stable: true } : {})
    }
    const isStopped = punctuation && !isPartial
    toldMs = heardMs
    onResults([
      {
        ResultId: `00000000-0000-4000-8000-${String(ordinal).padStart(12, "0")}`,
        StartTime: first.startMs / 1000,
        EndTime: Math.min(heardMs, last.endMs + 100) / 1000,
        IsPartial: isPartial,
        ...(options.languageCode === undefined ? {} : { LanguageCode: options.languageCode }),
        Alternatives: [{ Transcript: isStopped ? `${text}.` : text, Items: isStopped ? [...items, stop] : items }]
      }
    ])
    if (isPartial) return
    ordinal += 1
    words = []
    shown = ""
  }

  return {
    push: (pcm) => {
      heardMs += (pcm.length * 1000) / rate
      decoder.push(pcm)
      const last = words.at(-1)
      tell(last === undefined || heardMs - last.endMs < PAUSE_MS)
      if (heardMs - toldMs < IDLE_MS) return
      toldMs = heardMs
      onResults([])
    },
    end: () => {
      decoder.flush()
      tell(false)
    }
  }
}
