/**
 * The messages of the NeMo streaming module of tldw_server (`/api/v1/audio/stream/transcribe`): JSON both ways, audio in base64.
 *
 * Two times of it are in use. Servers of 2024 take float32 and a key in the address. Today's take PCM16 at 16 kHz, a key in a header, and want
 * `protocol_version: 1`. Neither says when it is ready.
 */
import { Option, Schema } from "effect"

const number = Schema.optionalKey(Schema.NullOr(Schema.Finite))
const text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** Words of the chunk that is being filled, or of one that is full: `is_final` says which; `type` does not (Parakeet's finals are `transcription`). */
export const Result = Schema.Struct({
  type: Schema.Literals(["partial", "final", "transcription"]),
  text: Schema.String.check(Schema.isMaxLength(20_000)),
  is_final: Schema.Boolean,
  segment_start: number,
  segment_end: number,
  overlap: number
})
export type Result = typeof Result.Type
/** The answer to a commit; `auto_commit` when its own voice activity detection asked for it. */
export const FullTranscript = Schema.Struct({
  type: Schema.tag("full_transcript"),
  auto_commit: Schema.optionalKey(Schema.NullOr(Schema.Boolean))
})
export const ServerFault = Schema.Struct({
  type: Schema.tag("error"),
  message: text,
  code: text,
  error_type: text,
  quota: text
})
export type ServerFault = typeof ServerFault.Type
export const Warning = Schema.Struct({ type: Schema.tag("warning"), warning_type: text, state: text })
/** Nothing to us. */
export const Other = Schema.Struct({
  type: Schema.Literals(["status", "ping", "pong", "done", "insight", "diarization_summary"])
})

export const ServerMessage = Schema.Union([Result, FullTranscript, ServerFault, Warning, Other])
export type ServerMessage = typeof ServerMessage.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ServerMessage))

/** The message in a text frame; nothing when it is not one. */
export const parse = (frame: string): Option.Option<ServerMessage> => decode(frame)

const decodeStatus = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ status: Schema.String })))

/** `GET …/stream/status`: the server says that it cannot transcribe now. */
export const isUnavailable = (page: string): boolean =>
  Option.match(decodeStatus(page), { onNone: () => false, onSome: ({ status }) => status !== "available" })

/** A full transcript grows with its session: an hour of speech. */
export const MAX_MESSAGE_BYTES = 256 * 1024

/** Seconds; the server's own defaults, said because admins can change those. */
export const CHUNK_SECONDS = 2
export const OVERLAP_SECONDS = 0.5

/** The first message. To a server of 2024 nothing it would not know what to do with. */
export const config = (options: {
  readonly model: string
  readonly variant: string
  readonly language: string
  readonly audio: "pcm16" | "float32"
}): string =>
  JSON.stringify({
    type: "config",
    ...(options.audio === "pcm16" ? { protocol_version: 1, mode: "captions", audio_format: "pcm16", channels: 1 } : {}),
    sample_rate: 16_000,
    model: options.model,
    variant: options.variant,
    language: options.language,
    chunk_duration: CHUNK_SECONDS,
    overlap_duration: OVERLAP_SECONDS,
    enable_partial: true,
    enable_vad: false
  })

export const audio = (base64: string): string => `{"type":"audio","data":"${base64}"}`

/** Answered by a full transcript, behind all that is known by then: it does not transcribe what does not fill a chunk. */
export const COMMIT = JSON.stringify({ type: "commit" })
