/**
 * What the clients of both tuon dialects say.
 */
import { Result, Schema } from "effect"
import { type AudioFormat, rawAudio } from "../domain/AudioFormat.ts"
import type { Message, Request, StartOptions } from "./Dialect.ts"

const Text = Schema.optionalKey(Schema.NullOr(Schema.String))

const Start = Schema.Struct({
  action: Schema.Literal("start"),
  language: Text,
  lang: Text,
  model: Text,
  engine: Text,
  token: Text,
  details: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  format: Schema.optionalKey(
    Schema.NullOr(Schema.Literals(["auto", "pcm16", "float32", "pcmu", "pcma", "webm", "ogg", "wav"]))
  ),
  sample_rate: Schema.optionalKey(
    Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 8000, maximum: 48_000 })))
  ),
  channels: Schema.optionalKey(Schema.NullOr(Schema.Literals([1, 2])))
})
type Start = typeof Start.Type

const decodeAction = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({ action: Schema.String })))
const decodeStart = Schema.decodeUnknownResult(Schema.fromJsonString(Start))

/** What a client wants, from its first message. */
export interface TuonStart {
  readonly options: StartOptions
  readonly token?: string
  readonly details: boolean
}

/** `Unreadable`: no start at all. `Refused`: a start with a value that cannot be. */
export type FirstMessage =
  | { readonly _tag: "Start"; readonly start: TuonStart }
  | { readonly _tag: "Unreadable" }
  | { readonly _tag: "Refused"; readonly detail: string }

/** Reads the message which every session begins with. */
export const readFirst = (text: string): FirstMessage => {
  if (actionOf(text) !== "start") return { _tag: "Unreadable" }
  const start = decodeStart(text)
  if (Result.isFailure(start)) return { _tag: "Refused", detail: expectedStart }
  const { details, engine, lang, language, model, token } = start.success
  const languageId = language ?? lang
  const wanted = engine ?? model
  return {
    _tag: "Start",
    start: {
      options: {
        format: formatOf(start.success),
        ...(languageId ? { language: languageId } : {}),
        ...(wanted ? { engine: wanted } : {})
      },
      ...(token ? { token } : {}),
      details: details ?? false
    }
  }
}

/** Reads any later message: what it asks for, or why it asks for nothing. */
export const readLater = (message: Message): ReadonlyArray<Request> | "AlreadyStarted" | "NotUnderstood" => {
  if (typeof message !== "string") return message.length === 0 ? [] : [{ _tag: "Audio", bytes: message }]
  switch (actionOf(message)) {
    case "commit":
      return [{ _tag: "Commit" }]
    case "stop":
      return [{ _tag: "Finish" }]
    case "start":
      return "AlreadyStarted"
    default:
      return "NotUnderstood"
  }
}

/** `undefined`: not JSON, or no action. */
const actionOf = (text: string): string | undefined => {
  const read = decodeAction(text)
  return Result.isSuccess(read) ? read.success.action : undefined
}

const expectedStart =
  "start: language, model, engine, token are text, details is true or false, format is auto, pcm16, float32, pcmu, pcma, webm, ogg or wav, sample_rate is 8000 to 48000, channels is 1 or 2"

/** What recognises itself is recognised; what does not is taken for PCM16 at 24 kHz, as OpenAI takes it. */
const formatOf = ({ channels, format, sample_rate }: Start): AudioFormat => {
  switch (format) {
    case "pcm16":
    case "float32":
      return rawAudio(format, sample_rate ?? 24_000, channels ?? 1)
    case "pcmu":
    case "pcma":
      return rawAudio(format, sample_rate ?? 8000, channels ?? 1)
    default:
      return { _tag: "Detected", otherwise: rawAudio("pcm16", sample_rate ?? 24_000, channels ?? 1) }
  }
}
