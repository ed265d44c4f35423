/**
 * What the processes of the benchmark tell each other.
 */
import { Schema } from "effect"
import { doors } from "./Options.ts"

/** To the clients' process. */
export const Task = Schema.Struct({
  port: Schema.Int,
  token: Schema.String,
  sockets: Schema.Int,
  door: Schema.Literals(doors),
  format: Schema.Literals(["pcm16", "webm"]),
  speaking: Schema.Finite,
  messageMs: Schema.optional(Schema.Finite)
})
export type Task = typeof Task.Type

/** Of one client. Times are ms since 1970, fractional, as in the engine's log. */
export const Heard = Schema.Struct({
  number: Schema.Int,
  /** Words, and when the message was sent in which each ended. */
  spoken: Schema.Array(Schema.String),
  sentAtMs: Schema.Array(Schema.Finite),
  /** When so many words were to be seen for the first time. */
  seenAtMs: Schema.Array(Schema.Finite),
  /** The finals, put together. */
  words: Schema.Array(Schema.String),
  /** Why it ended before its time. */
  trouble: Schema.optional(Schema.String)
})
export type Heard = typeof Heard.Type

/** From the clients' process: all speak. */
export const Speaking = Schema.TaggedStruct("Speaking", {})

/** From the clients' process: all have had their last words. */
export const Ended = Schema.TaggedStruct("Ended", {
  heard: Schema.Array(Heard),
  /** How late messages were sent, ms, of all looks at the clock: 99 of 100 were better. */
  lateP99Ms: Schema.Finite
})

/** A word of the engine's own log. */
export const ToldWords = Schema.Array(
  Schema.Struct({
    speaker: Schema.Int,
    text: Schema.String,
    audioArrivedAtMs: Schema.Finite,
    tokenSentAtMs: Schema.Finite
  })
)
export type ToldWord = (typeof ToldWords.Type)[number]
