/**
 * The dialect of tuon-live-transcribe, `WS /v1/transcriptions`, with extensions that its clients do not notice.
 *
 * The client begins with
 * ```json
 * {"action": "start", "language": "en"}
 * ```
 * Everything but `action` may be left out: `language` (or `lang`), `format` (`auto`, the default: WebM, Ogg and WAV are recognised, all else
 * is PCM16; `pcm16`, `float32`, `pcmu`, `pcma`, `webm`, `ogg`, `wav`), `sample_rate` (8000–48000, 24000), `channels` (1 or 2, 1), `model` or
 * `engine` (one of `GET /api/v1/engines`), `token`, `details` (`false`). Then it sends audio in binary messages, and if it likes
 * `{"action": "commit"}` (finish the utterance) and `{"action": "stop"}` (tell the last words, then close with 1000).
 *
 * The service answers with one of these at a time:
 * ```json
 * {"session_id": "0c4e…"}        once, before anything else
 * {"partial": " morning"}        to be appended to the partials before it; never taken back
 * {"final": "Good morning."}     the whole utterance
 * {"error": "…"}                 for people; the connection may stay open
 * ```
 * With `"details": true` the same messages have more fields, and there are more messages (times are seconds of the client's audio):
 * ```json
 * {"ready": {"engine": "modal", "model": "kyutai-1b", "language": "en"}}
 * {"partial": " morning", "segment": "s:3", "start": 1.2, "end": 2.48, "replace": "Good morning ev"}
 * {"final": "Good morning.", "segment": "s:3", "start": 1.2, "end": 3.1}
 * {"speech": "started", "at": 1.04}      or "stopped"
 * {"committed": true}                    everything before a commit was told
 * {"interrupted": 12.4, "at": 31.2}      here words are missing: so much had to be given up before an engine could hear it
 * {"settled": 29.8}                      everything said before it is in finals that came: over a new connection, say again what lies behind it
 * {"error": "…", "code": "Idle"}         a `Failure` or `Denial` of `Dialect.ts`, or "BadMessage"
 * ```
 * `replace` is the whole current text of the open segment, the part that may still change included: a page shows it instead of what it showed of
 * that segment. `partial` may then be empty (only the changing part changed), and so may `final` (nothing came of the segment).
 *
 * Close codes: 1000 after a stop; 1008 without a message when the session does not begin with a readable `start`, and with an `error` before it
 * when it begins with audio or with a `start` that cannot be; otherwise an `error` and the code of `closeCodes`. A second `start` is answered
 * `{"error": "upstream_already_started"}`, an unknown action or unreadable text with an `error`; the session goes on.
 */
import { isFinal, type Segment, textOf } from "../domain/Segment.ts"
import * as Deltas from "./Deltas.ts"
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
import { readFirst, readLater } from "./TuonStart.ts"

/** Half a second of WebM is a few kilobytes; some clients send whole files. */
const MAX_MESSAGE_BYTES = 1024 * 1024

const converse = (sessionId: string): Conversation => {
  const delta = Deltas.make()
  let isStarted = false
  let details = false

  const first = (message: Message): ReadonlyArray<Request> => {
    if (typeof message !== "string") return refused("the first message must be a start", 1008)
    const read = readFirst(message)
    if (read._tag === "Unreadable") return [notUnderstood, { _tag: "Close", code: 1008 }]
    if (read._tag === "Refused") return refused(read.detail, 1008)
    const { options, token } = read.start
    isStarted = true
    details = read.start.details
    return [
      ...(token === undefined ? [] : [{ _tag: "Authenticate" as const, token }]),
      say({ session_id: sessionId }),
      { _tag: "Start", options }
    ]
  }

  const later = (message: Message): ReadonlyArray<Request> => {
    const asked = readLater(message)
    if (asked === "AlreadyStarted") return [error("upstream_already_started", "BadMessage")]
    if (asked !== "NotUnderstood") return asked
    return [notUnderstood, error("not understood: text must be a JSON object with action stop or commit", "BadMessage")]
  }

  const partial = (segment: Segment, times: object): ReadonlyArray<Request> => {
    const appended = delta(segment)
    if (details) {
      return [say({ partial: appended, segment: segment.id, ...times, replace: textOf(segment) })]
    }
    return appended === "" ? [] : [say({ partial: appended })]
  }

  const final = (segment: Segment, times: object): ReadonlyArray<Request> => {
    const text = textOf(segment).trim()
    if (details) return [say({ final: text, segment: segment.id, ...times })]
    return text === "" ? [] : [say({ final: text })]
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Segment": {
        const times = { start: seconds(event.startMs), end: seconds(event.endMs) }
        return isFinal(event.segment) ? final(event.segment, times) : partial(event.segment, times)
      }
      case "Ready":
        return details ? [say({ ready: { engine: event.engine, model: event.model, language: event.language } })] : []
      case "SpeechStarted":
        return details ? [say({ speech: "started", at: seconds(event.atMs) })] : []
      case "SpeechStopped":
        return details ? [say({ speech: "stopped", at: seconds(event.atMs) })] : []
      case "Interrupted":
        return details ? [say({ interrupted: seconds(event.lengthMs), at: seconds(event.atMs) })] : []
      case "Settled":
        return details ? [say({ settled: seconds(event.throughMs) })] : []
      case "Committed":
        return details ? [say({ committed: true })] : []
      case "Finished":
        return [{ _tag: "Close", code: 1000 }]
      case "Denied":
        return [error(event.detail, event.denial), { _tag: "Close", code: closeCodes[event.denial] }]
      case "Failed":
        return [error(event.detail, event.failure), { _tag: "Close", code: closeCodes[event.failure] }]
      default:
        return []
    }
  }

  const error = (text: string, code: string) => say({ error: text, ...(details ? { code } : {}) })
  const refused = (text: string, code: number) => [
    notUnderstood,
    error(text, "BadMessage"),
    { _tag: "Close" as const, code }
  ]

  return { receive: (message) => (isStarted ? later(message) : first(message)), tell }
}

const seconds = (ms: number): number => Math.round(ms) / 1000

/** For clients of tuon-live-transcribe and for the page. */
export const tuon: Dialect = {
  name: "tuon",
  paths: ["/v1/transcriptions"],
  credentials: { messages: true, noneKnown: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  startWithinSeconds: 15,
  converse: ({ sessionId }) => converse(sessionId)
}
