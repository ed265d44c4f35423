/**
 * What a runner gives of a call to the runner that goes on with it: enough that no word is lost and none is said twice.
 */
import { Schema } from "effect"
import { SessionId } from "./Call.ts"

/** A voice, as far as it was heard and is not said. Positions are samples of the voice, at 24 kHz. */
export const LeftVoice = Schema.Struct({
  /** The id it had; those of `unsaid` refer to it. */
  id: Schema.String,
  key: Schema.Struct({ publisher: SessionId, roomType: Schema.Literals(["video", "screen"]) }),
  /** What was heard before it is certainly said. */
  position: Schema.Finite,
  /** What was said behind it, or may have been. */
  said: Schema.String,
  /** Positions of its packets in order, at least those behind `position` and the newest few: by those the next one finds where this one stopped. */
  positions: Schema.Array(Schema.Finite),
  /** Bytes of each of these packets. */
  lengths: Schema.Array(Schema.Int),
  /** The packets themselves, Opus, one behind the other. */
  packets: Schema.Uint8ArrayFromBase64,
  /** End of what was heard. */
  heard: Schema.Finite,
  /** Since the newest packet arrived, ms. */
  quietMs: Schema.Finite
})
export type LeftVoice = typeof LeftVoice.Type

/** Text that was published and that its readers have not been given as final; see `UnsaidText` of the SpeechJournal. */
const Unsaid = Schema.Struct({
  voice: Schema.String,
  speaker: SessionId,
  texts: Schema.Array(Schema.String),
  ahead: Schema.String
})

/** All of a call; at most some 4 MiB as JSON. */
export const Left = Schema.Struct({
  voices: Schema.Array(LeftVoice),
  unsaid: Schema.Array(Unsaid)
})
export type Left = typeof Left.Type
