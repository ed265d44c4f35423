/**
 * TldwText: chunks of a tldw server become utterances. Pure: results in, events out.
 */
import { msOfSamples } from "../domain/Audio.ts"
import { joinText } from "../domain/Segment.ts"
import type { EndCause, SpeechEvent, Word } from "../domain/Speech.ts"
import type { StreamTimeline } from "./StreamTimeline.ts"
import * as TldwProtocol from "./TldwProtocol.ts"

export interface TldwText {
  readonly read: (result: TldwProtocol.Result) => ReadonlyArray<SpeechEvent>
  /** The utterance is over, silence followed it: nothing when it has no words. */
  readonly complete: (cause: EndCause) => ReadonlyArray<SpeechEvent>
}

/** Hz. */
const RATE = 16_000
/** As fast as people talk. */
const WORDS_PER_SECOND = 6
/** The Transcriber has cut it several times by then. */
const MAX_CHARS = 1000

/**
 * Makes the reader of one session.
 *
 * Chunks overlap, so a chunk may begin with words the one before it ended with: the longest such repetition that fits in the overlap is taken
 * out, also of partials. (Who says the same word twice across a seam loses one.) Words of full chunks are certain, those of the chunk that is
 * being filled are not.
 */
export const make = (timeline: StreamTimeline): TldwText => {
  let ordinal = 0
  /** Of full chunks of this utterance. */
  let sure: Array<Word> = []
  let sureText = ""
  /** The newest full chunk, as long as its end overlaps what comes. */
  let before: ReadonlyArray<string> = []
  let overlapSeconds = TldwProtocol.OVERLAP_SECONDS
  let isShown = false

  const sampleOf = (seconds: number): number => Math.min(timeline.sent(), Math.max(0, Math.round(seconds * RATE)))

  const complete = (cause: EndCause): Array<SpeechEvent> => {
    before = []
    if (!isShown) return []
    const event: SpeechEvent = { _tag: "Completed", item: `chunks-${ordinal}`, text: sureText, words: sure, cause }
    ordinal += 1
    sure = []
    sureText = ""
    isShown = false
    return [event]
  }

  /** Times of a chunk are those of its first and its last word, as far as is known. */
  const wordsOf = (texts: ReadonlyArray<string>, result: TldwProtocol.Result): Array<Word> => {
    const { segment_end: end, segment_start: start } = result
    return texts.map((text, index) => ({
      text,
      joiner: "space",
      ...(index === 0 && typeof start === "number" ? { startMs: msOfSamples(timeline.onsetAt(sampleOf(start))) } : {}),
      ...(index === texts.length - 1 && typeof end === "number"
        ? { endMs: msOfSamples(timeline.voiceAt(sampleOf(end))) }
        : {})
    }))
  }

  const read = (result: TldwProtocol.Result): Array<SpeechEvent> => {
    const texts = result.text.split(/\s+/).filter((text) => text !== "")
    const fresh = texts.slice(repeated(before, texts, overlapSeconds))
    const words = wordsOf(fresh, result)
    const text = joinText(sureText, fresh.join(" "))
    if (result.is_final) {
      before = texts
      overlapSeconds = result.overlap ?? TldwProtocol.OVERLAP_SECONDS
      sureText = text
      sure = [...sure, ...words]
    }
    if (text === "" && !isShown) return []
    isShown = true
    const event: SpeechEvent = {
      _tag: "Replaced",
      item: `chunks-${ordinal}`,
      text,
      stableLength: sureText.length,
      words: result.is_final ? sure : [...sure, ...words]
    }
    if (sureText.length <= MAX_CHARS) return [event]
    // the next chunk still begins with the end of this one
    const tail = before
    const events = [event, ...complete("MaxLength")]
    before = tail
    return events
  }

  return { read, complete }
}

/** How many of the first words are the last words of before. */
const repeated = (before: ReadonlyArray<string>, next: ReadonlyArray<string>, overlapSeconds: number): number => {
  const most = Math.min(before.length, next.length, Math.ceil(overlapSeconds * WORDS_PER_SECOND))
  const bare = (words: ReadonlyArray<string>) => words.map(bareWord).join(" ")
  for (let count = most; count > 0; count--) {
    if (bare(before.slice(-count)) === bare(next.slice(0, count))) return count
  }
  return 0
}

/** Punctuation and case differ between two readings of the same sound. */
const bareWord = (word: string): string => word.toLowerCase().replace(/[^\p{L}\p{N}']/gu, "")
