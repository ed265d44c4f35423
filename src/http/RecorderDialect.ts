/**
 * The dialect of a recorder, `WS /ws`: record, stop, and what was said is kept. It is that of a proof of concept for Amazon Transcribe.
 *
 * The client sends, as text,
 * ```json
 * {"type": "audio", "payload": "…"}        base64; PCM16, little endian, 16 kHz, mono; samples may be cut anywhere
 * {"type": "control", "action": "stop"}    no more comes
 * ```
 * and is told
 * ```json
 * {"type": "transcript", "text": "Good morning", "is_final": false}    replaces the line that is open
 * {"type": "transcript", "text": "Good morning.", "is_final": true}    ends it; empty when nothing came of it
 * {"type": "saved", "s3_key": "20241215_143022.txt"}                   after a stop, where transcripts are kept and something was said
 * {"type": "error", "message": "…"}
 * ```
 * After a stop the last words come, then `saved`, then the close, with 1000; where nothing is kept the client has five seconds to close first.
 * Audio behind a stop, and another stop, are ignored. A client that leaves without a stop is finished and kept all the same. What is not
 * understood is answered with an `error` and otherwise ignored; a session that cannot go on is kept, told why, and closed with the code of
 * `closeCodes`. The language is the deployment's, or `?language=`.
 */
import { Option, Schema } from "effect"
import { rawAudio } from "../domain/AudioFormat.ts"
import { isFinal, type Segment, textOf } from "../domain/Segment.ts"
import { bytesIn } from "./Base64.ts"
import {
  type Conversation,
  closeCodes,
  type Dialect,
  type Event,
  type Message,
  notUnderstood,
  type Opening,
  type Request,
  say
} from "./Dialect.ts"

/** A second of audio is 43 kB in base64; some clients send whole files. */
const MAX_MESSAGE_BYTES = 1024 * 1024
/** Hz. */
const RATE = 16_000

const FromClient = Schema.Union([
  Schema.Struct({ type: Schema.Literal("audio"), payload: Schema.String }),
  Schema.Struct({ type: Schema.Literal("control"), action: Schema.Literal("stop") })
])
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(FromClient))

const NOT_UNDERSTOOD =
  'not understood: messages are {"type": "audio", "payload": base64} and {"type": "control", "action": "stop"}'

const error = (message: string): Request => say({ type: "error", message })
const close = (code: number): Request => ({ _tag: "Close", code })
const keep: ReadonlyArray<Request> = [{ _tag: "Finish" }, { _tag: "Save" }]

const converse = ({ query }: Opening): Conversation => {
  const language = query.get("language") ?? undefined
  let isStarted = false
  let isStopped = false
  /** The open line, as it was told. */
  let shown = ""

  const receive = (message: Message): ReadonlyArray<Request> => {
    if (isStopped) return []
    const read = typeof message === "string" ? Option.getOrUndefined(decode(message)) : undefined
    if (read === undefined) return [notUnderstood, error(NOT_UNDERSTOOD)]
    if (read.type === "control") {
      isStopped = true
      return keep
    }
    const bytes = bytesIn(read.payload)
    if (bytes === undefined) return [notUnderstood, error("the payload is not base64")]
    return bytes.length === 0 ? [] : [{ _tag: "Audio", bytes }]
  }

  const transcript = (segment: Segment): ReadonlyArray<Request> => {
    const text = textOf(segment).trim()
    if (!isFinal(segment) && text === shown) return []
    const isNews = text !== "" || shown !== ""
    shown = isFinal(segment) ? "" : text
    return isNews ? [say({ type: "transcript", text, is_final: isFinal(segment) })] : []
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Admitted":
        return [{ _tag: "Start", options: { format: rawAudio("pcm16", RATE), ...(language ? { language } : {}) } }]
      case "Ready":
        isStarted = true
        return []
      case "Segment":
        return transcript(event.segment)
      case "Finished":
        // nothing to keep, so nothing else comes
        return event.said.length === 0 ? [close(1000)] : []
      case "Saved":
        return [say({ type: "saved", s3_key: event.key }), close(1000)]
      case "NotSaved":
        return [error(`the transcript was not saved: ${event.detail}`), close(1000)]
      case "Denied":
        return [error(event.detail), close(closeCodes[event.denial])]
      case "Failed":
        return [...(isStarted ? keep : []), error(event.detail), close(closeCodes[event.failure])]
      default:
        return []
    }
  }

  return { receive, tell, hungUp: () => (isStarted ? keep : []) }
}

/** For clients of the proof of concept. */
export const recorder: Dialect = {
  name: "recorder",
  paths: ["/ws"],
  credentials: { noneKnown: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  converse
}
