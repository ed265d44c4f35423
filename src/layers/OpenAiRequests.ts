/**
 * What OpenAI's Realtime transcription takes from a client, for those who stand in for its server. Strict: a field that is not documented is
 * an error, as it is there. https://platform.openai.com/docs/api-reference/realtime-client-events
 */
import { Option, Result, Schema, SchemaIssue } from "effect"

const { Finite, optionalKey, String: Text } = Schema

/** Only what is in an update changes; `null` switches off. */
const id = optionalKey(Text.check(Schema.isMaxLength(512)))

const Format = Schema.Struct({
  type: Schema.Literals(["audio/pcm", "audio/pcmu", "audio/pcma"]),
  /** Only of `audio/pcm`, and only this. */
  rate: optionalKey(Schema.Literal(24_000))
})
const Transcription = Schema.Struct({
  model: optionalKey(Text),
  language: optionalKey(Text.check(Schema.isMaxLength(35))),
  languages: optionalKey(Schema.Array(Text.check(Schema.isMaxLength(35))).check(Schema.isMaxLength(100))),
  prompt: optionalKey(Text),
  keywords: optionalKey(Schema.Array(Text)),
  delay: optionalKey(Schema.Literals(["minimal", "low", "medium", "high", "xhigh"]))
})
const TurnDetection = Schema.Struct({
  type: Schema.Literals(["server_vad", "semantic_vad"]),
  threshold: optionalKey(Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  prefix_padding_ms: optionalKey(Finite.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))),
  silence_duration_ms: optionalKey(Finite.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }))),
  idle_timeout_ms: optionalKey(Schema.NullOr(Finite)),
  create_response: optionalKey(Schema.Boolean),
  interrupt_response: optionalKey(Schema.Boolean),
  eagerness: optionalKey(Schema.Literals(["low", "medium", "high", "auto"]))
})
const NoiseReduction = Schema.Struct({
  type: optionalKey(Schema.Literals(["near_field", "far_field"])),
  strength: optionalKey(Finite)
})
const Include = Schema.Array(Schema.Literal("item.input_audio_transcription.logprobs"))

/** A session as a client asks for it. */
export const Session = Schema.Struct({
  type: Schema.Literal("transcription"),
  audio: optionalKey(
    Schema.Struct({
      input: optionalKey(
        Schema.Struct({
          format: optionalKey(Format),
          noise_reduction: optionalKey(Schema.NullOr(NoiseReduction)),
          transcription: optionalKey(Schema.NullOr(Transcription)),
          turn_detection: optionalKey(Schema.NullOr(TurnDetection))
        })
      )
    })
  ),
  include: optionalKey(Schema.NullOr(Include))
})
export type Session = typeof Session.Type

/** The same in the words of the beta, of which many clients are left. */
const LegacySession = Schema.Struct({
  input_audio_format: optionalKey(Schema.Literals(["pcm16", "g711_ulaw", "g711_alaw"])),
  input_audio_noise_reduction: optionalKey(Schema.NullOr(NoiseReduction)),
  input_audio_transcription: optionalKey(Schema.NullOr(Transcription)),
  turn_detection: optionalKey(Schema.NullOr(TurnDetection)),
  include: optionalKey(Schema.NullOr(Include))
})
export type LegacySession = typeof LegacySession.Type

const SessionUpdate = Schema.Struct({ type: Schema.tag("session.update"), event_id: id, session: Session })
const LegacyUpdate = Schema.Struct({
  type: Schema.tag("transcription_session.update"),
  event_id: id,
  session: LegacySession
})
const Append = Schema.Struct({ type: Schema.tag("input_audio_buffer.append"), event_id: id, audio: Text })
const Commit = Schema.Struct({ type: Schema.tag("input_audio_buffer.commit"), event_id: id })
const Clear = Schema.Struct({ type: Schema.tag("input_audio_buffer.clear"), event_id: id })

export type ClientEvent =
  | typeof SessionUpdate.Type
  | typeof LegacyUpdate.Type
  | typeof Append.Type
  | typeof Commit.Type
  | typeof Clear.Type

const ClientSecretRequest = Schema.Struct({
  expires_after: optionalKey(
    Schema.Struct({
      anchor: optionalKey(Schema.Literal("created_at")),
      seconds: optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 10, maximum: 7200 })))
    })
  ),
  session: optionalKey(Session)
})
export type ClientSecretRequest = typeof ClientSecretRequest.Type

/** An error as the server words it; never quotes a value. */
export interface Complaint {
  readonly code: string
  readonly message: string
  readonly param: string | null
  /** Of the event it is about, where it could be read. */
  readonly eventId: string | null
}

const Kind = Schema.Struct({
  type: Schema.Literals([
    "session.update",
    "transcription_session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear"
  ])
})
/** Names of fields are the client's. */
const MAX_PARAM_CHARS = 200
const options = { onExcessProperty: "error" } as const
const readers: Readonly<
  Record<ClientEvent["type"], (event: unknown) => Result.Result<ClientEvent, Schema.SchemaError>>
> = {
  "session.update": (event) => Schema.decodeUnknownResult(SessionUpdate)(event, options),
  "transcription_session.update": (event) => Schema.decodeUnknownResult(LegacyUpdate)(event, options),
  "input_audio_buffer.append": (event) => Schema.decodeUnknownResult(Append)(event, options),
  "input_audio_buffer.commit": (event) => Schema.decodeUnknownResult(Commit)(event, options),
  "input_audio_buffer.clear": (event) => Schema.decodeUnknownResult(Clear)(event, options)
}

const parse = Schema.decodeResult(Schema.fromJsonString(Schema.Unknown))
const kindOf = Schema.decodeUnknownOption(Kind)
const identified = Schema.decodeUnknownOption(Schema.Struct({ event_id: Text.check(Schema.isMaxLength(512)) }))
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** The event in a text message, or what is wrong with it. */
export const read = (message: string): Result.Result<ClientEvent, Complaint> => {
  const parsed = parse(message)
  if (Result.isFailure(parsed))
    return Result.fail({ code: "invalid_json", message: "The message is not JSON.", param: null, eventId: null })
  const eventId = Option.getOrUndefined(identified(parsed.success))?.event_id ?? null
  const kind = Option.getOrUndefined(kindOf(parsed.success))
  if (kind === undefined)
    return Result.fail({ code: "invalid_value", message: "There is no such event here.", param: "type", eventId })
  return Result.mapError(readers[kind.type](parsed.success), (error) => complaintOf(error, eventId))
}

/** What a short-lived credential is asked for with, or what is wrong with it. An empty body asks for nothing special. */
export const readClientSecret = (body: string): Result.Result<ClientSecretRequest, Complaint> => {
  const parsed = parse(body.trim() === "" ? "{}" : body)
  if (Result.isFailure(parsed))
    return Result.fail({ code: "invalid_json", message: "The body is not JSON.", param: null, eventId: null })
  return Result.mapError(Schema.decodeUnknownResult(ClientSecretRequest)(parsed.success, options), (error) =>
    complaintOf(error, null)
  )
}

const complaintOf = ({ issue }: Schema.SchemaError, eventId: string | null): Complaint => {
  const first = issuesOf(issue).issues[0]
  const param = (first?.path ?? [])
    .map((part) => String(typeof part === "object" ? part.key : part))
    .join(".")
    .slice(0, MAX_PARAM_CHARS)
  const said = first?.message ?? ""
  if (/excess property/i.test(said))
    return { code: "unknown_parameter", message: `Unknown parameter: '${param}'.`, param, eventId }
  if (/missing key/i.test(said))
    return { code: "missing_required_parameter", message: `Missing required parameter: '${param}'.`, param, eventId }
  return { code: "invalid_value", message: `Invalid value for '${param}'. ${said}.`, param, eventId }
}
