/**
 * What clients of the NeMo module of tldw_server say, and what they are told.
 */
import { Option, Schema } from "effect"
import { type RawAudio, rawAudio } from "../domain/AudioFormat.ts"
import type { Denial, Event, Failure } from "./Dialect.ts"

const text = Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isMaxLength(200))))
const flag = Schema.optionalKey(Schema.NullOr(Schema.Boolean))

/** Further members of the original's are not needed here. */
const Config = Schema.Struct({
  protocol_version: Schema.optionalKey(Schema.NullOr(Schema.Literal(1))),
  mode: Schema.optionalKey(Schema.NullOr(Schema.Literals(["dictate", "captions"]))),
  model: text,
  variant: text,
  language: text,
  sample_rate: Schema.optionalKey(
    Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 8000, maximum: 48_000 })))
  ),
  channels: Schema.optionalKey(Schema.NullOr(Schema.Literals([1, 2]))),
  audio_format: Schema.optionalKey(Schema.NullOr(Schema.Literals(["pcm16", "float32"]))),
  enable_partial: flag,
  enable_vad: flag
})

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
const decodeType = Schema.decodeUnknownOption(Schema.Struct({ type: Schema.String }))
const decodeConfig = Schema.decodeUnknownOption(Config)
const decodeAudio = Schema.decodeUnknownOption(Schema.Struct({ data: Schema.String }))
const decodeAuth = Schema.decodeUnknownOption(Schema.Struct({ token: Schema.String }))
const decodeControl = Schema.decodeUnknownOption(Schema.Struct({ action: Schema.String }))

/** What a client asked for in its `config`, or what is taken for it without one. */
export interface NemoConfig {
  /** `protocol_version: 1`: today's protocol, else that of 2024, whose clients read one message per message of audio. */
  readonly isStrict: boolean
  readonly model: string
  readonly variant: string
  readonly language: string | undefined
  readonly format: RawAudio
  /** The format was not said, so it may be the other one. */
  readonly isFormatGuessed: boolean
  readonly partials: boolean
  readonly vad: boolean
}

export type ClientMessage =
  | { readonly _tag: "Auth"; readonly token: string }
  | { readonly _tag: "Config"; readonly config: NemoConfig }
  | { readonly _tag: "Audio"; readonly data: string }
  | { readonly _tag: "Commit" | "Reset" | "Stop" | "Ignored" }
  | { readonly _tag: "Bad"; readonly code: "bad_request" | "invalid_config" | "invalid_audio"; readonly detail: string }

/** What the original assumes of a client that begins with audio. */
export const standardConfig: NemoConfig = {
  isStrict: false,
  model: "parakeet",
  variant: "standard",
  language: undefined,
  format: rawAudio("float32", 16_000),
  isFormatGuessed: true,
  partials: true,
  vad: false
}

/** Reads a text message. */
export const parse = (message: string): ClientMessage => {
  const json = Option.getOrUndefined(decodeJson(message))
  const type = Option.getOrUndefined(decodeType(json))?.type
  switch (type) {
    case "config":
      return Option.match(decodeConfig(json), {
        onNone: () => bad("invalid_config", expectedConfig),
        onSome: (given) => ({ _tag: "Config", config: configOf(given) })
      })
    case "audio":
      return Option.match(decodeAudio(json), {
        onNone: () => bad("invalid_audio", "audio must have data, samples in base64"),
        onSome: ({ data }) => ({ _tag: "Audio", data })
      })
    case "auth":
      return Option.match(decodeAuth(json), {
        onNone: () => bad("bad_request", "auth must have a token"),
        onSome: ({ token }) => ({ _tag: "Auth", token })
      })
    case "control":
      return commandOf(Option.getOrUndefined(decodeControl(json))?.action)
    case undefined:
      return bad("bad_request", "messages are JSON objects with a type")
    default:
      return commandOf(type)
  }
}

const bad = (code: "bad_request" | "invalid_config" | "invalid_audio", detail: string): ClientMessage => ({
  _tag: "Bad",
  code,
  detail
})

/** What the original does not know it ignores. */
const commandOf = (word: string | undefined): ClientMessage => {
  switch (word) {
    case "commit":
      return { _tag: "Commit" }
    case "reset":
      return { _tag: "Reset" }
    case "stop":
      return { _tag: "Stop" }
    default:
      return { _tag: "Ignored" }
  }
}

const expectedConfig =
  "config: protocol_version is 1 or left out, mode is dictate or captions, model, variant and language are text, sample_rate is 8000 to 48000, channels is 1 or 2, audio_format is pcm16 or float32, enable_partial and enable_vad are true or false"

const configOf = (given: typeof Config.Type): NemoConfig => {
  const isStrict = given.protocol_version === 1
  const encoding = given.audio_format ?? (isStrict ? "pcm16" : "float32")
  return {
    isStrict,
    model: given.model || standardConfig.model,
    variant: given.variant || standardConfig.variant,
    language: given.language || undefined,
    format: rawAudio(encoding, given.sample_rate ?? 16_000, given.channels ?? 1),
    isFormatGuessed: !isStrict && !given.audio_format,
    partials: given.enable_partial ?? true,
    vad: given.enable_vad ?? false
  }
}

/** `code` and `error_type` are the same, for clients of either time. */
export const errorOf = (code: string, message: string, more: object = {}): object => ({
  type: "error",
  message,
  code,
  error_type: code,
  ...more
})

const quota = (kind: "daily_minutes" | "concurrent_streams") => ({ quota: kind, data: { quota: kind } })

/** Code and quota of an end, and the code the connection closes with. */
export const endOf = (
  event: Extract<Event, { readonly _tag: "Denied" | "Failed" }>
): { readonly close: number; readonly code: string; readonly more?: object } =>
  event._tag === "Denied" ? denials[event.denial] : failures[event.failure]

const denials: Readonly<Record<Denial, { close: number; code: string; more?: object }>> = {
  Unauthorized: { close: 4401, code: "unauthorized" },
  Forbidden: { close: 4403, code: "forbidden" },
  ConcurrentStreams: { close: 4003, code: "quota_exceeded", more: quota("concurrent_streams") },
  DailyMinutes: { close: 4003, code: "quota_exceeded", more: quota("daily_minutes") },
  TooManyStreams: { close: 1013, code: "overloaded" }
}

const failures: Readonly<Record<Failure, { close: number; code: string; more?: object }>> = {
  Unauthenticated: { close: 4401, code: "unauthorized" },
  NotStarted: { close: 4400, code: "config_timeout" },
  BadMessage: { close: 4400, code: "bad_request" },
  BadAudio: { close: 4400, code: "invalid_audio" },
  NoEngine: { close: 1011, code: "model_unavailable" },
  Idle: { close: 1001, code: "idle_timeout" },
  SessionLimit: { close: 1008, code: "session_limit" },
  DailyMinutes: { close: 4003, code: "quota_exceeded", more: quota("daily_minutes") },
  SlowReader: { close: 1013, code: "slow_reader" },
  ShuttingDown: { close: 1013, code: "shutting_down" },
  Internal: { close: 1011, code: "internal_error" }
}
