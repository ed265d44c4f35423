/**
 * What a feed of live captions says, as server-sent events.
 */
import { Schema } from "effect"

/** One state of what a speaker says: `text` is the whole text of the segment and replaces the one before; after `final` it does not change. */
export const LiveCaption = Schema.Struct({
  speaker: Schema.String,
  speakerName: Schema.optionalKey(Schema.String),
  language: Schema.String,
  segment: Schema.String,
  revision: Schema.Int,
  text: Schema.String,
  final: Schema.Boolean,
  /** Position in the speaker's audio, where the engine knows it. */
  startMs: Schema.optionalKey(Schema.Finite)
})

/** Here words of a speaker are missing: so much speech had to be given up before an engine could hear it. Times are of the speaker's audio. */
export const LiveGap = Schema.Struct({
  speaker: Schema.String,
  speakerName: Schema.optionalKey(Schema.String),
  /** Tells it from others, as a caption's `segment` does. */
  segment: Schema.String,
  atMs: Schema.Finite,
  lengthMs: Schema.Finite
})

/** The last event: nothing follows. A reader that was too slow may come again. */
export const FeedEnd = Schema.Struct({ reason: Schema.Literals(["CallEnded", "ReaderBehind"]), detail: Schema.String })

/** Server-sent events of a feed. Comments in between keep the connection alive. */
export const FeedEvent = Schema.Union([
  Schema.Struct({ event: Schema.Literal("caption"), data: Schema.fromJsonString(LiveCaption) }),
  Schema.Struct({ event: Schema.Literal("interrupted"), data: Schema.fromJsonString(LiveGap) }),
  Schema.Struct({ event: Schema.Literal("end"), data: Schema.fromJsonString(FeedEnd) })
])
