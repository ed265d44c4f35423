/**
 * AwsResults: what Amazon Transcribe says about one stream becomes speech events. Pure: results in, events out.
 */
import { Option, Schema } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { SpeechEvent, Word } from "../domain/Speech.ts"
import type { EngineMark } from "./EngineMark.ts"
import type { StreamTimeline } from "./StreamTimeline.ts"

export interface AwsResults {
  /** The events in what the SDK read; `undefined` when it is nothing that is known. */
  readonly take: (message: unknown) => ReadonlyArray<SpeechEvent> | undefined
  /** Sample of the stream up to which everything is told and will not change: the end of a final, or of stable words. */
  readonly proven: () => number
  /** Results were given that are not final. */
  readonly isOpen: () => boolean
  /** Events that brought results. */
  readonly count: () => number
}

/** Seconds since the stream began. */
const Time = Schema.optional(Schema.Finite)
const Item = Schema.Struct({
  StartTime: Time,
  EndTime: Time,
  Type: Schema.optional(Schema.String),
  Content: Schema.String,
  Confidence: Schema.optional(Schema.Finite),
  Stable: Schema.optional(Schema.Boolean),
  Speaker: Schema.optional(Schema.String)
})
type Item = typeof Item.Type

const Result = Schema.Struct({
  ResultId: Schema.String,
  EndTime: Time,
  IsPartial: Schema.optional(Schema.Boolean),
  LanguageCode: Schema.optional(Schema.String),
  Alternatives: Schema.optional(
    Schema.Array(
      Schema.Struct({ Transcript: Schema.optional(Schema.String), Items: Schema.optional(Schema.Array(Item)) })
    )
  )
})
type Result = typeof Result.Type

const decode = Schema.decodeUnknownOption(
  Schema.Struct({
    TranscriptEvent: Schema.Struct({
      Transcript: Schema.optional(Schema.Struct({ Results: Schema.optional(Schema.Array(Result)) }))
    })
  })
)

/**
 * Nothing said yet. Times become those of the voice; `rate` is Hz of the stream. The mark lies where the newest word ends that will not change,
 * be it stable or final, behind the event that says so; not while an earlier utterance is open, and not within a word as readers cut them
 * (languages without spaces have stable characters in the middle of one).
 */
export const make = (timeline: StreamTimeline, rate: number, mark: EngineMark): AwsResults => {
  const open = new Set<string>()
  let proven = 0
  let count = 0

  const sampleAt = (seconds: number): number => Math.min(timeline.sent(), Math.max(0, Math.round(seconds * rate)))
  const prove = (seconds: number | undefined): void => {
    if (seconds !== undefined) proven = Math.max(proven, sampleAt(seconds))
  }
  const markAt = (seconds: number | undefined): ReadonlyArray<SpeechEvent> =>
    seconds === undefined ? [] : mark.reach(timeline.voiceAt(sampleAt(seconds)))

  const wordOf = ({ Confidence, Content, EndTime, Speaker, StartTime, Type }: Item, joiner: Word["joiner"]): Word => {
    // a full stop has the times of a point, and none of its own
    const isWord = Type !== "punctuation"
    const startMs = StartTime === undefined ? undefined : msOfSamples(timeline.onsetAt(sampleAt(StartTime)))
    const endMs = EndTime === undefined ? undefined : msOfSamples(timeline.voiceAt(sampleAt(EndTime)))
    return {
      text: Content,
      joiner,
      ...(isWord && startMs !== undefined ? { startMs } : {}),
      ...(isWord && endMs !== undefined ? { endMs: Math.max(startMs ?? 0, endMs) } : {}),
      ...(isWord && Confidence !== undefined ? { confidence: Math.min(1, Math.max(0, Confidence)) } : {}),
      ...(Speaker === undefined ? {} : { speaker: Speaker })
    }
  }

  /** The words of a text, how much of it is stable (up to the last of the leading items that are), where that ends, and where all of it does. */
  const read = (text: string, items: ReadonlyArray<Item>) => {
    const words: Array<Word> = []
    let end = 0
    let stableLength = 0
    let isStable = true
    let stableEnd: number | undefined
    for (const item of items) {
      const at = text.indexOf(item.Content, end)
      // items that are not in the text: it is right, and what they say about it is not
      if (at < 0 || item.Content === "") break
      // the text says what stands between two words: not every language puts a space there
      words.push(wordOf(item, at > end ? "space" : "none"))
      end = at + item.Content.length
      isStable = isStable && item.Stable === true
      if (isStable) {
        stableLength = end
        stableEnd = item.EndTime ?? stableEnd
        prove(item.EndTime)
      }
    }
    const isBetweenWords = stableLength === text.length || /\s/.test(text.charAt(stableLength))
    return { words, stableLength, stableEnd: isBetweenWords ? stableEnd : undefined }
  }

  const eventOf = (result: Result): ReadonlyArray<SpeechEvent> => {
    const [best] = result.Alternatives ?? []
    const text = best?.Transcript ?? ""
    const item = result.ResultId
    if (result.IsPartial === true) {
      if (text === "") return []
      open.add(item)
      const { stableEnd, stableLength, words } = read(text, best?.Items ?? [])
      const marked = open.size === 1 ? markAt(stableEnd) : []
      return [{ _tag: "Replaced", item, text, stableLength, words }, ...marked]
    }
    const wasOpen = open.delete(item)
    const { words } = read(text, best?.Items ?? [])
    prove(result.EndTime)
    if (text === "" && !wasOpen) return []
    const end = best?.Items?.findLast(({ EndTime }) => EndTime !== undefined)?.EndTime ?? result.EndTime
    const marked = open.size === 0 ? markAt(end) : []
    const language = result.LanguageCode === undefined ? {} : { language: result.LanguageCode }
    return [{ _tag: "Completed", item, text, words, ...language, cause: "EngineFinal" }, ...marked]
  }

  return {
    take: (message) => {
      const event = Option.getOrUndefined(decode(message))
      if (event === undefined) return undefined
      const results = event.TranscriptEvent.Transcript?.Results ?? []
      if (results.length > 0) count += 1
      return results.flatMap(eventOf)
    },
    proven: () => proven,
    isOpen: () => open.size > 0,
    count: () => count
  }
}
