/**
 * TranscriptStore: keeps what was said in a streaming session, where an admin has asked for it.
 */
import { Context, type Effect, Schema } from "effect"

/** What one session said. */
export interface SessionTranscript {
  readonly sessionId: string
  /** When the session ended, ms since 1970: what it is named for. */
  readonly endedAtMs: number
  /** Finals, one per line of the file. Never empty: a session in which nothing was said is not stored. */
  readonly lines: ReadonlyArray<string>
}

/** It is not where it should be yet; the transcript is safe on this machine's disk (`isKept`) and is tried again. */
export class TranscriptStoreError extends Schema.TaggedError<TranscriptStoreError>()("TranscriptStoreError", {
  detail: Schema.String,
  isKept: Schema.Boolean
}) {
  override get message() {
    return this.detail
  }
}

/** A place for transcripts. */
export class TranscriptStore extends Context.Service<
  TranscriptStore,
  {
    /** Storing was configured; otherwise `save` must not be called. */
    readonly isConfigured: boolean
    /** Gives the key it is stored under, `YYYYMMDD_HHMMSS….txt` (UTC), which no other transcript has. */
    readonly save: (transcript: SessionTranscript) => Effect.Effect<string, TranscriptStoreError>
  }
>()("parlance/services/TranscriptStore") {}
