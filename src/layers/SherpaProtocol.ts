/**
 * What the service and its child with the recogniser say to each other, over the channel that Node keeps between them.
 */
import { type Option, Schema } from "effect"

const Session = { session: Schema.Int }

/** To the child. Samples are mono at the model's rate. */
export const Command = Schema.Union([
  Schema.TaggedStruct("Open", { ...Session, language: Schema.String }),
  Schema.TaggedStruct("Audio", { ...Session, pcm: Schema.instanceOf(Float32Array) }),
  /** Finish the utterance: so many samples of silence push its last word out. Told `Flushed` behind its final. */
  Schema.TaggedStruct("Flush", { ...Session, token: Schema.Int, silence: Schema.Int }),
  Schema.TaggedStruct("Close", Session)
])
export type Command = typeof Command.Type

/** From the child. Times are seconds of the session's own stream. */
export const Report = Schema.Union([
  Schema.TaggedStruct("Loaded", {}),
  /** It ends after this. */
  Schema.TaggedStruct("Unusable", { detail: Schema.String }),
  /** The open utterance reads so, or did when it ended. */
  Schema.TaggedStruct("Text", {
    ...Session,
    text: Schema.String,
    tokens: Schema.Array(Schema.String),
    times: Schema.Array(Schema.Finite),
    /** Natural logarithms, as many as tokens; empty where the model gives none. */
    logProbabilities: Schema.Array(Schema.Finite),
    isFinal: Schema.Boolean
  }),
  Schema.TaggedStruct("Flushed", { ...Session, token: Schema.Int }),
  /** So many samples of the session have been computed. */
  Schema.TaggedStruct("Computed", { ...Session, samples: Schema.Int })
])
export type Report = typeof Report.Type

const decodeCommand = Schema.decodeUnknownOption(Command)
const decodeReport = Schema.decodeUnknownOption(Report)
export const readCommand = (message: unknown): Option.Option<Command> => decodeCommand(message)
export const readReport = (message: unknown): Option.Option<Report> => decodeReport(message)
