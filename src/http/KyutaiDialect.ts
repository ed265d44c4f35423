/**
 * The dialect of Kyutai on Modal, `WS /v1/stream`, as its clients were promised it: whoever sends audio there can use any engine through us.
 *
 * The client sends binary messages: float32, little endian, 24 kHz, mono; an empty one keeps the connection. The service answers with
 * ```json
 * {"type": "token", "text": " Hello"}    a word, the space before it included; never taken back
 * {"type": "vad_end"}                    the utterance is over
 * {"type": "ping"}                       every 10 s
 * {"type": "error", "message": "…"}      then the connection closes
 * ```
 * There is nothing to begin with and nothing to end with: whoever hangs up has heard the last words if it sent half a second of silence and
 * waited for `vad_end`. A text message closes with 1003.
 */
import { rawAudio } from "../domain/AudioFormat.ts"
import { isFinal, type Segment } from "../domain/Segment.ts"
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

/** Clients send 80 or 200 ms (19 kB); files come in one piece. */
const MAX_MESSAGE_BYTES = 1024 * 1024

const refuse = (message: string, code: number): ReadonlyArray<Request> => [
  say({ type: "error", message }),
  { _tag: "Close", code }
]

const converse = (): Conversation => {
  const delta = Deltas.make()
  let segmentId = ""

  const told = (segment: Segment): ReadonlyArray<Request> => {
    const words = delta(segment).match(/\s*\S+/g) ?? []
    const begins = segment.id !== segmentId && words.length > 0
    if (begins) segmentId = segment.id
    // clients put tokens together as they are: the space before an utterance belongs to it
    const tokens = words.map((text, index) => say({ type: "token", text: begins && index === 0 ? ` ${text}` : text }))
    return isFinal(segment) ? [...tokens, say({ type: "vad_end" })] : tokens
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Admitted":
        return [{ _tag: "Start", options: { format: rawAudio("float32", 24_000) } }]
      case "Segment":
        return told(event.segment)
      case "Heartbeat":
        return [say({ type: "ping" })]
      case "Denied":
        return refuse(event.detail, closeCodes[event.denial])
      case "Failed":
        return refuse(event.detail, closeCodes[event.failure])
      default:
        return []
    }
  }

  return {
    receive: (message: Message) => {
      if (typeof message === "string")
        return [notUnderstood, ...refuse("audio is binary: float32, little endian, 24 kHz, mono", 1003)]
      return message.length === 0 ? [] : [{ _tag: "Audio", bytes: message }]
    },
    tell
  }
}

export const kyutai: Dialect = {
  name: "kyutai",
  paths: ["/v1/stream"],
  credentials: { headers: ["kyutai-api-key", "modal-secret"], noneKnown: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  converse
}
