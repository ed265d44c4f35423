/**
 * SpeechEngine: audio of one voice in, speech events out.
 */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { LanguageId, Languages } from "../domain/Language.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import type { SampleRate } from "./Resampler.ts"

/** The engine refused, broke, went silent or reached a limit; `retryable` says whether another session can help. */
export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  reason: Schema.Literals(["Refused", "Unreachable", "Busy", "Silent", "LimitReached", "Closed", "Protocol"]),
  detail: Schema.String,
  /** The engine asked to be left alone for so long. */
  retryAfterMs: Schema.optionalKey(Schema.Finite)
}) {
  get retryable() {
    return this.reason !== "Refused"
  }
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/** What the Transcriber must know about an engine to treat it well, and callers to choose one. */
export interface EngineCapabilities {
  /** As `LT_ENGINE` names it: `modal`, `openai` … */
  readonly name: string
  /** What recognises, where the engine has a choice or says so. */
  readonly model?: string
  /** Hz of the samples it is sent. */
  readonly sampleRate: SampleRate
  readonly partials: "append" | "replace" | "none"
  readonly endOfTurn: "none" | "vad" | "semantic" | "commit"
  /**
   * What proves that audio has become events: the times of words, acknowledged commits, or that an engine of a known delay was quiet after
   * it had been flushed.
   */
  readonly mark: "WordTimes" | "Commits" | "KnownDelay"
  readonly wordTimes: boolean
  readonly confidence: boolean
  readonly punctuation: boolean
  readonly languages: Languages
  /** What keeps a session without speech open; every adapter does it by itself. */
  readonly keepAlive: "None" | "Silence" | "Message"
  /** A session cannot outlive this, ms. */
  readonly maxSessionMs?: number
  /** Sessions the engine gives us at a time, as far as is known: with so many open another engine is asked, if there is one. */
  readonly maxSessions?: number
  /** Audio may be sent faster than it was spoken: needed to catch up after a cold start. */
  readonly fasterThanRealtime: boolean
  /** Audio never leaves this machine. */
  readonly local: boolean
  /**
   * What its operator charges for, or has to keep ready: the time a session is connected, the audio it is sent (silence included), or nothing
   * that grows with use (a model in this machine).
   */
  readonly billed: "Connection" | "Audio" | "Nothing"
  /** A session that was sent audio is billed as this much of it at least, ms; absent: 0. */
  readonly billedAtLeastMs?: number
}

/** What one voice says to an engine and hears from it, while the scope of `open` is. */
export interface EngineSession {
  /** Takes one frame, its samples at `capabilities.sampleRate`, its position at 24 kHz; never waits. Positions may jump forward (silence in between), never back. */
  readonly send: (frame: AudioFrame) => void
  /** `send` keeps nothing of the samples: whoever calls it may write over them. Absent: it may keep them. */
  readonly copies?: boolean
  /** Ends the open utterance now; nothing where an engine has no utterances, or nobody but the engine ends them. */
  readonly commit: Effect.Effect<void, EngineError>
  /** Completes when everything sent before has certainly become events. Frames may be sent meanwhile. */
  readonly flush: Effect.Effect<void, EngineError>
  /** In place of the last flush, where an engine gives its last words only at the end of the audio: no frame may follow. */
  readonly finish?: Effect.Effect<void, EngineError>
  /**
   * In speaking order, for one reader. Fails once, with the reason the session ended. The mark is among them, exactly where it belongs: after
   * a loss the voice is sent again from the last `Marked` on, and as many words as came behind it are recognised as heard before.
   */
  readonly events: Stream.Stream<SpeechEvent, EngineError>
  /**
   * In place of `events`, and faster: gives each event to `take` in the moment it comes, from whatever brings it. What `take` gives is waited for
   * before the next; what it throws ends the session. Fails as `events` does. Absent: there are only `events`.
   */
  readonly hear?: (take: (event: SpeechEvent) => Effect.Effect<void> | undefined) => Effect.Effect<never, EngineError>
  /** Position of the newest `Marked`, 0 before the first. */
  readonly mark: () => number
  /**
   * Where the engine gives signs of life while it hears: position (samples) up to which it has certainly computed what it was sent, words or
   * not. Never decreases. Absent where nothing but words tells that it is alive; it may appear with the first sign, where only a sign shows that
   * a server gives any.
   */
  readonly progress?: () => number
}

/**
 * Opens sessions with one engine. `open` may take minutes (a cold container). A session ends once, with an `EngineError` or with its
 * scope. It never retries, replays or parks: that is the Transcriber's.
 */
export class SpeechEngine extends Context.Service<
  SpeechEngine,
  {
    readonly capabilities: EngineCapabilities
    /** Asks whether sessions could be opened, without opening one; an engine that sleeps wakes up by it (may take minutes). */
    readonly probe?: Effect.Effect<void, EngineError>
    readonly open: (options: {
      readonly language: LanguageId
    }) => Effect.Effect<EngineSession, EngineError, Scope.Scope>
  }
>()("parlance/services/SpeechEngine") {}
