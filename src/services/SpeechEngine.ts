/**
 * SpeechEngine: audio of one voice in, speech events out.
 */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { LanguageId, Languages } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"

/** The engine refused, broke, went silent or reached a limit; `retryable` says whether another session can help. */
export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  reason: Schema.Literals(["Refused", "Unreachable", "Busy", "Silent", "LimitReached", "Closed", "Protocol"]),
  detail: Schema.String
}) {
  get retryable() {
    return this.reason !== "Refused"
  }
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/** What the Transcriber must know about an engine to treat it well. */
export interface EngineCapabilities {
  readonly name: string
  readonly sampleRate: 16_000 | 24_000
  readonly partials: "append" | "replace" | "none"
  readonly endOfTurn: "none" | "vad" | "semantic" | "commit"
  readonly wordTimes: boolean
  readonly punctuation: boolean
  readonly languages: Languages
  /** A session cannot outlive this, ms. */
  readonly maxSessionMs?: number
  /** Audio may be sent faster than it was spoken: needed to catch up after a cold start. */
  readonly fasterThanRealtime: boolean
}

export interface EngineSession {
  /** Takes one frame, its samples at `capabilities.sampleRate`, its position at 24 kHz; never waits. Positions may jump forward (silence in between), never back. */
  readonly send: (frame: AudioFrame) => void
  /** Ends the open utterance now; nothing where an engine has no utterances. */
  readonly commit: Effect.Effect<void, EngineError>
  /** Completes when everything sent before has certainly become events. Frames may be sent meanwhile. */
  readonly flush: Effect.Effect<void, EngineError>
  /** In speaking order, for one reader. Fails once, with the reason the session ended. */
  readonly events: Stream.Stream<SpeechEvent, EngineError>
  /** The mark: position (samples) up to which audio has certainly become events. Never ahead of proof, never decreases. */
  readonly mark: () => number
}

/**
 * Opens sessions with one engine. `open` may take minutes (a cold container). A session ends once, with an `EngineError` or with its
 * scope. It never retries, replays or parks: that is the Transcriber's.
 */
export class SpeechEngine extends Context.Service<
  SpeechEngine,
  {
    readonly capabilities: EngineCapabilities
    readonly open: (options: {
      readonly language: LanguageId
    }) => Effect.Effect<EngineSession, EngineError, Scope.Scope>
  }
>()("parlance/services/SpeechEngine") {}
