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
  /** Speech behind `position`, as entries of a speech journal. */
  speech: Schema.Uint8ArrayFromBase64,
  /** The newest packets that were heard, likewise: by those the next one finds where this one stopped. */
  newest: Schema.Uint8ArrayFromBase64,
  /** Since the newest of them arrived, ms. */
  quietMs: Schema.Finite,
  /** Nothing will be heard of it any more. */
  isOver: Schema.Boolean
})
export type LeftVoice = typeof LeftVoice.Type

/** Text that was published and that its readers have not been given as final; see `UnsaidText` of the SpeechJournal. */
const Unsaid = Schema.Struct({
  voice: Schema.String,
  speaker: SessionId,
  texts: Schema.Array(Schema.String),
  ahead: Schema.String
})

/** All of a call; at most some 6 MiB as JSON. */
export const Left = Schema.Struct({
  voices: Schema.Array(LeftVoice),
  unsaid: Schema.Array(Unsaid)
})
export type Left = typeof Left.Type
