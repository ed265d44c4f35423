/**
 * The messages of a Vosk server, the stock one (https://github.com/alphacep/vosk-server) and Nextcloud's. Audio is binary, PCM16, mono; every
 * message but the configuration is answered by exactly one of ours, in order. Nextcloud's also answers a configuration with a language.
 */
import { type Option, Schema } from "effect"

/** Seconds of all audio of the connection. Only where words were asked for and the server gives them. */
const Result = Schema.Struct({
  word: Schema.String,
  start: Schema.optionalKey(Schema.Finite),
  end: Schema.optionalKey(Schema.Finite),
  conf: Schema.optionalKey(Schema.Finite)
})

/** Minutes of speech without a pause: more is not an utterance. */
const Utterance = Schema.String.check(Schema.isMaxLength(8192))
/** The utterance so far; all of it may still change. */
export const Partial = Schema.Struct({ partial: Utterance })
/** The utterance is over. */
export const Text = Schema.Struct({ text: Utterance, result: Schema.optionalKey(Schema.Array(Result)) })
/** Nextcloud's only: whether there is a model for the language. */
export const Configured = Schema.Struct({ success: Schema.Boolean })

export const ServerMessage = Schema.Union([Text, Partial, Configured])
export type ServerMessage = typeof ServerMessage.Type

/** An utterance with every word's times is some kilobytes. */
export const MAX_MESSAGE_BYTES = 1024 * 1024

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ServerMessage))

/** The message in a text frame; nothing when it is not one. */
export const parse = (frame: string): Option.Option<ServerMessage> => decode(frame)

/** Comes before audio. The stock server ignores `language`, Nextcloud's the rest. */
export const configuration = (sampleRate: number, language: string): string =>
  JSON.stringify({ config: { sample_rate: sampleRate, words: true, language } })

/** Servers compare these as text, the space before the colon included. */
export const RESET = '{"reset" : 1}'
export const EOF = '{"eof" : 1}'
