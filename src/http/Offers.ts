/**
 * What the service says of what it offers: limits and state of streaming, and the engines.
 */
import { Schema } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"

/** What this one may use. */
export const StreamLimits = Schema.Struct({
  user_id: Schema.String,
  tier: Schema.Literals(["admin", "standard"]),
  limits: Schema.Struct({
    /** `null`: as many as they like. */
    daily_minutes: Schema.NullOr(Schema.Int),
    concurrent_streams: Schema.Int
  }),
  /** Of this day (UTC). */
  used_today_minutes: Schema.Finite,
  remaining_minutes: Schema.NullOr(Schema.Finite),
  active_streams: Schema.Int,
  can_start_stream: Schema.Boolean,
  /** The same; clients of the original look at either. */
  _can_start_stream: Schema.Boolean
})

/** How busy streaming is. */
export const StreamStatus = Schema.Struct({
  /** `unavailable`: no engine is configured, or none works now. */
  status: Schema.Literals(["available", "unavailable"]),
  available_models: Schema.Array(Schema.String),
  websocket_endpoint: Schema.Literal("/api/v1/audio/stream/transcribe"),
  supported_features: Schema.Struct({
    partial_results: Schema.Boolean,
    multiple_languages: Schema.Boolean,
    concurrent_streams: Schema.Boolean,
    segment_metadata: Schema.Boolean,
    live_insights: Schema.Boolean,
    meeting_notes: Schema.Boolean,
    speaker_diarization: Schema.Boolean,
    audio_persistence: Schema.Boolean
  })
})

/** An engine: how it does as far as sessions have shown, and what it can. */
export const Engine = Schema.Struct({
  name: Schema.String,
  model: Schema.optionalKey(Schema.String),
  role: Schema.Literals(["primary", "cover", "last"]),
  state: Schema.Literals(["untried", "healthy", "failing"]),
  /** Whether it is asked for sessions: open while it is left alone, half-open while a probe asks whether it is back. */
  circuit: Schema.Literals(["closed", "open", "half-open"]),
  /** Open now. */
  sessions: Schema.Int,
  /** Why the newest session failed, while it is failing. */
  reason: Schema.optionalKey(EngineError.fields.reason),
  detail: Schema.optionalKey(Schema.String),
  /** Audio never leaves this machine. */
  local: Schema.Boolean,
  capabilities: Schema.Struct({
    partials: Schema.Literals(["append", "replace", "none"]),
    endOfTurn: Schema.Literals(["none", "vad", "semantic", "commit"]),
    wordTimes: Schema.Boolean,
    confidence: Schema.Boolean,
    punctuation: Schema.Boolean,
    mark: Schema.Literals(["WordTimes", "Commits", "KnownDelay"]),
    sampleRate: Schema.Int,
    keepAlive: Schema.Literals(["None", "Silence", "Message"]),
    maxSessionMs: Schema.optionalKey(Schema.Finite),
    maxSessions: Schema.optionalKey(Schema.Finite),
    fasterThanRealtime: Schema.Boolean
  }),
  languages: Schema.Array(Schema.String)
})
