/**
 * The dialect of Vosk servers, `WS /vosk` and, where their clients look for them, `WS /`: the stock server's and Nextcloud's, whose app
 * `live_transcription` may have it as `LT_VOSK_SERVER_URL`.
 *
 * ```json
 * {"config": {"sample_rate": 16000, "language": "en"}}     before audio; 8000 Hz without one
 * {"success": true}                                        the answer, only where a language was asked for
 * ```
 * Then binary messages, PCM16, mono, each answered by exactly one of
 * ```json
 * {"partial": "the words so far"}
 * {"text": "the words of an utterance"}
 * ```
 * `{"reset" : 1}` is answered by the `text` of what was open, `{"eof" : 1}` too, behind which the connection closes with 1000. Any other text is
 * answered with the partial. Answers come in the order of the messages, one for each. What cannot be said in this dialect (that no engine
 * answers, that the minutes are used up) is the reason of the close, and what was not told yet is told before, unasked; a rate that nobody
 * records at closes with 1008.
 */
import { Option, Schema } from "effect"
import { rawAudio } from "../domain/AudioFormat.ts"
import { isFinal, type Segment, textOf } from "../domain/Segment.ts"
import { isSampleRate, sampleRates } from "../services/Resampler.ts"
import {
  type Conversation,
  closeCodes,
  type Dialect,
  type Event,
  type Message,
  notUnderstood,
  type Request,
  say
} from "./Dialect.ts"

/** Clients send 200 or 400 ms (38 kB at 48 kHz). */
const MAX_MESSAGE_BYTES = 1024 * 1024
/** Hz, of the stock server. */
const STANDARD_RATE = 8000
/** Answers that are due, behind one that takes its time. Who pipelines more than this does not read. */
const MAX_DUE = 4096

const Text = Schema.Struct({
  config: Schema.optionalKey(
    Schema.Struct({
      sample_rate: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
      language: Schema.optionalKey(Schema.NullOr(Schema.String))
    })
  ),
  eof: Schema.optionalKey(Schema.Unknown),
  reset: Schema.optionalKey(Schema.Unknown)
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Text))

/** What an answer is due for; `audio` can be answered at once. */
type Due = "audio" | "config" | "reset" | "eof"

const converse = (): Conversation => {
  let due: Array<Due> = []
  /** Finals that were not told yet, in order. */
  let finals: Array<string> = []
  let partial = ""
  let isStarted = false
  let askedLanguage = ""

  /** Everything that can be answered now; `settled` answers the first even if it takes its time. */
  const answer = (settled?: object): Array<Request> => {
    const answers: Array<Request> = []
    if (settled !== undefined && due.length > 0) {
      due = due.slice(1)
      answers.push(say(settled))
    }
    while (due[0] === "audio") {
      due = due.slice(1)
      const [text, ...others] = finals
      finals = others
      answers.push(say(text === undefined ? { partial } : { text }))
    }
    return answers
  }
  const whole = () => {
    const text = finals.join(" ")
    finals = []
    partial = ""
    return { text }
  }

  const ask = (what: Due, request: ReadonlyArray<Request>): ReadonlyArray<Request> => {
    if (due.length >= MAX_DUE) return [{ _tag: "Close", code: 1008, reason: "answers are not read" }]
    due.push(what)
    return [...request, ...answer()]
  }
  const start = (sampleRate: number, language?: string): ReadonlyArray<Request> => {
    isStarted = true
    const format = rawAudio("pcm16", sampleRate)
    return [{ _tag: "Start", options: language === undefined ? { format } : { format, language } }]
  }

  const read = (message: string): ReadonlyArray<Request> => {
    const text = Option.getOrUndefined(decode(message))
    if (text?.config !== undefined) {
      const { language, sample_rate: sampleRate } = text.config
      const rate = sampleRate ?? STANDARD_RATE
      if (!isSampleRate(rate))
        return [notUnderstood, { _tag: "Close", code: 1008, reason: `sample_rate: ${sampleRates.join(", ")}` }]
      const started = start(rate, language ?? undefined)
      if (!language) return started
      askedLanguage = language
      return ask("config", started)
    }
    const begun = isStarted ? [] : start(STANDARD_RATE)
    if (text?.eof !== undefined) return ask("eof", [...begun, { _tag: "Finish" }])
    if (text?.reset !== undefined) return ask("reset", [...begun, { _tag: "Commit" }])
    return [notUnderstood, ...ask("audio", begun)]
  }

  const heard = (segment: Segment): void => {
    const text = textOf(segment).trim()
    if (!isFinal(segment)) partial = text
    else {
      partial = ""
      if (text !== "") finals.push(text)
    }
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Ready":
        return due[0] === "config" ? answer({ success: isSame(event.language, askedLanguage) }) : []
      case "Segment":
        heard(event.segment)
        return []
      case "Committed":
        return due[0] === "reset" ? answer(whole()) : []
      case "Finished":
        return [...answer(whole()), { _tag: "Close", code: 1000 }]
      case "Denied":
        return [{ _tag: "Close", code: closeCodes[event.denial], reason: event.detail }]
      case "Failed": {
        const last = finals.length > 0 ? [say(whole())] : []
        return [...last, { _tag: "Close", code: closeCodes[event.failure], reason: event.detail }]
      }
      default:
        return []
    }
  }

  return {
    receive: (message: Message) => {
      if (typeof message === "string") return read(message)
      return ask("audio", [...(isStarted ? [] : start(STANDARD_RATE)), { _tag: "Audio", bytes: message }])
    },
    tell
  }
}

/** Whether the engine listens to the language that was asked for, in whatever region. */
const isSame = (language: string, asked: string): boolean =>
  language.split(/[-_]/)[0]?.toLowerCase() === asked.split(/[-_]/)[0]?.toLowerCase()

export const vosk: Dialect = {
  name: "vosk",
  paths: ["/vosk", "/"],
  credentials: { noneKnown: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  converse
}
