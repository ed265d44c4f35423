/**
 * TranscriptPlace: somewhere transcripts can be put, which may fail; what they are called and read there.
 */
import { createHash } from "node:crypto"
import { type Effect, Schema } from "effect"
import type { SessionTranscript } from "../services/TranscriptStore.ts"

/** Why a transcript could not be put there, in words for an admin; never what was said, nor a credential. */
export class PlaceError extends Schema.TaggedError<PlaceError>()("PlaceError", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export interface TranscriptPlace {
  /** For metrics and logs. */
  readonly name: "disk" | "s3"
  /** Gives the key it has there now. Again after a failure: it is there at least once. */
  readonly put: (transcript: SessionTranscript) => Effect.Effect<string, PlaceError>
}

/** `20241215_143022`, UTC. */
export const stampOf = ({ endedAtMs }: SessionTranscript): string =>
  new Date(endedAtMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "_")

/** As `stampOf`, with eight digits by which sessions that ended in the same second differ, always the same of a session. */
export const uniqueStampOf = (transcript: SessionTranscript): string =>
  `${stampOf(transcript)}_${createHash("sha256").update(transcript.sessionId).digest("hex").slice(0, 8)}`

/** One final a line. */
export const fileOf = ({ lines }: SessionTranscript): string =>
  lines.map((line) => `${line.replaceAll(/\s*[\r\n]+\s*/g, " ")}\n`).join("")
