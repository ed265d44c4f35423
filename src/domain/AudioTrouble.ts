/**
 * What can be wrong with the bytes a client sends as its audio.
 */
import { Schema } from "effect"

/**
 * - `Unsupported`: a format, codec, rate or number of channels that is not understood; the detail says what came and what may come.
 * - `Headerless`: the middle of a recording whose beginning never came.
 * - `Undecodable`: bytes that are not what they should be; a piece of audio is lost.
 * - `NotANumber`: samples that are NaN or infinite; they were heard as silence.
 * - `TooLarge`: an element that claims to be larger than any audio.
 *
 * `goesOn` says whether what follows is heard. If not, audio is ignored until another recording begins (its header comes at the start of a
 * message) or another format is set. The detail is a sentence for the client; it never contains audio.
 */
export class AudioTrouble extends Schema.TaggedError<AudioTrouble>()("AudioTrouble", {
  reason: Schema.Literals(["Unsupported", "Headerless", "Undecodable", "NotANumber", "TooLarge"]),
  detail: Schema.String,
  goesOn: Schema.Boolean
}) {
  override get message() {
    return this.detail
  }
}
