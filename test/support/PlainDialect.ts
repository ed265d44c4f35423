/**
 * A dialect that adds nothing: the client's text is a request or a list of them as JSON, bytes are audio, and every event is sent as it is. For
 * tests of the session program.
 */
import { Result, Schema } from "effect"
import { rawAudio } from "../../src/domain/AudioFormat.ts"
import type { Conversation, Dialect, Message, Request } from "../../src/http/Dialect.ts"

const Asked = Schema.Union([
  Schema.TaggedStruct("Authenticate", { token: Schema.String }),
  Schema.TaggedStruct("Start", {
    language: Schema.optionalKey(Schema.String),
    engine: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("Commit", {}),
  Schema.TaggedStruct("Reset", {}),
  Schema.TaggedStruct("Finish", {}),
  Schema.TaggedStruct("Save", {}),
  Schema.TaggedStruct("Close", { code: Schema.Int, reason: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("Break", {})
])

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Array(Asked)))

const request = (asked: typeof Asked.Type): Request => {
  switch (asked._tag) {
    case "Start": {
      const { _tag, ...wanted } = asked
      return { _tag, options: { format: rawAudio("pcm16", 24_000), ...wanted } }
    }
    case "Break":
      throw new Error("said: the secret words of a client")
    default:
      return asked
  }
}

const receive = (message: Message): ReadonlyArray<Request> => {
  if (typeof message !== "string") return [{ _tag: "Audio", bytes: message }]
  const asked = decode(message)
  return Result.isSuccess(asked)
    ? asked.success.map(request)
    : [{ _tag: "Close", code: 4400, reason: "not a list of requests" }]
}

/** What it asks for by itself, and what it is asked in addition. */
export const make = (given: Partial<Dialect> & { readonly conversation?: Partial<Conversation> } = {}): Dialect => {
  const { conversation, ...dialect } = given
  return {
    name: "plain",
    paths: ["/plain"],
    credentials: { messages: true, noneKnown: true },
    maxMessageBytes: 1024 * 1024,
    converse: () => ({
      receive,
      tell: (event) => [{ _tag: "Send", message: JSON.stringify(event) }],
      ...conversation
    }),
    ...dialect
  }
}
