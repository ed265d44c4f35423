/**
 * OpenAI's Realtime transcription on the wire, in its current form (https://platform.openai.com/docs/api-reference/realtime): what its server
 * sends, as far as we read it, and what we send. Fields nobody reads are ignored, and so are events that are not in the list.
 */
import { type Option, Schema } from "effect"

/** Text of a token and how likely it was, as a natural logarithm. */
export const LogProb = Schema.Struct({ token: Schema.String, logprob: Schema.Finite })
export type LogProb = typeof LogProb.Type
const logprobs = Schema.optionalKey(Schema.NullOr(Schema.Array(LogProb)))
const optionalText = Schema.optionalKey(Schema.NullOr(Schema.String))

/** What a server says about an error; only `message` is for people, and it may quote what was sent. */
export const Fault = Schema.Struct({
  type: optionalText,
  code: optionalText,
  message: optionalText,
  param: optionalText,
  event_id: optionalText
})
export type Fault = typeof Fault.Type

/** The first event of a connection. */
export const SessionCreated = Schema.Struct({ type: Schema.tag("session.created") })
export const SessionUpdated = Schema.Struct({ type: Schema.tag("session.updated") })
/** With the server's own voice activity detection only; ms of all audio that was appended. */
export const SpeechStarted = Schema.Struct({
  type: Schema.tag("input_audio_buffer.speech_started"),
  audio_start_ms: Schema.Finite
})
export const SpeechStopped = Schema.Struct({
  type: Schema.tag("input_audio_buffer.speech_stopped"),
  audio_end_ms: Schema.Finite,
  item_id: Schema.String
})
/** What was appended since the last commit is an item from now on. Commits are answered in their order. */
export const Committed = Schema.Struct({ type: Schema.tag("input_audio_buffer.committed"), item_id: Schema.String })
/** Behind what was there before, and final. */
export const Delta = Schema.Struct({
  type: Schema.tag("conversation.item.input_audio_transcription.delta"),
  item_id: Schema.String,
  delta: Schema.optionalKey(Schema.String),
  logprobs
})
/** The whole text, which overrules the deltas. Items complete in any order. */
export const Completed = Schema.Struct({
  type: Schema.tag("conversation.item.input_audio_transcription.completed"),
  item_id: Schema.String,
  transcript: Schema.String,
  languages: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({ code: Schema.String })))),
  logprobs
})
/** No text will come for this item; the session goes on. */
export const Failed = Schema.Struct({
  type: Schema.tag("conversation.item.input_audio_transcription.failed"),
  item_id: Schema.String,
  error: Fault
})
/** Mostly about one event of the client, whose id it then has; the session goes on unless the server closes it. */
export const ServerFault = Schema.Struct({ type: Schema.tag("error"), error: Fault })

/** Tells us nothing that other events do not. */
export const Noted = Schema.Struct({
  type: Schema.Literals([
    "conversation.created",
    "conversation.item.created",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.cleared",
    "input_audio_buffer.timeout_triggered",
    "rate_limits.updated"
  ])
})

export const ServerMessage = Schema.Union([
  Delta,
  Completed,
  Failed,
  Committed,
  SpeechStarted,
  SpeechStopped,
  ServerFault,
  SessionCreated,
  SessionUpdated,
  Noted
])
export type ServerMessage = typeof ServerMessage.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ServerMessage))

/** The event in a text frame; nothing when it is none that we read. */
export const parse = (frame: string): Option.Option<ServerMessage> => decode(frame)

/** What a session is asked for; the last three can be left out where a server refuses them. */
export interface Wishes {
  readonly model: string
  /** ISO 639-1. */
  readonly language?: string | undefined
  /** Says that the server shall not cut by itself; absent: nothing is said about it. */
  readonly ownTurns: boolean
  readonly logprobs: boolean
}

/** How a transcription session is set up. */
export const sessionUpdate = (eventId: string, wishes: Wishes) => {
  const { language, model } = wishes
  return {
    type: "session.update" as const,
    event_id: eventId,
    session: {
      type: "transcription" as const,
      audio: {
        input: {
          format: { type: "audio/pcm" as const, rate: 24_000 as const },
          transcription: language === undefined ? { model } : { model, language },
          ...(wishes.ownTurns ? { turn_detection: null } : {})
        }
      },
      ...(wishes.logprobs ? { include: ["item.input_audio_transcription.logprobs" as const] } : {})
    }
  }
}

export const commit = (eventId: string) => ({ type: "input_audio_buffer.commit" as const, event_id: eventId })

/** The message around base64, which needs no escaping: audio is not copied a second time through JSON. */
export const append = (base64: string): string => `{"type":"input_audio_buffer.append","audio":"${base64}"}`

/** Bytes of a message. A transcript of the longest item is kilobytes; log probabilities make it a hundred times longer. */
export const MAX_MESSAGE_BYTES = 1024 * 1024
