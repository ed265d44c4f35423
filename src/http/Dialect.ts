/**
 * Dialect: how one family of clients speaks to the session program (`Door.ts`). A dialect is codecs and nothing else: it turns messages of
 * the client into requests of the session, and what the session tells into messages. It has no clock, no I/O, no audio and no engine; it
 * may remember what its own connection said. Every door runs the same program.
 */
import type { AudioFormat } from "../domain/AudioFormat.ts"
import type { Segment } from "../domain/Segment.ts"

/** What goes over the socket in one message. */
export type Message = string | Uint8Array

/** What a dialect wants done, in order. */
export type Request =
  /** A credential that came in a message. Told `Admitted` or `Denied`; whoever was let in before is told `Admitted` whatever it is. */
  | { readonly _tag: "Authenticate"; readonly token: string }
  /**
   * Begins to transcribe; told `Ready` or `Failed`. Again: `language`, `engine` count from the engine's next session on, another `format`
   * for audio that follows.
   */
  | { readonly _tag: "Start"; readonly options: StartOptions }
  /** Audio in the format of the last `Start`, any number of bytes; samples cut by the end of a message are put together. */
  | { readonly _tag: "Audio"; readonly bytes: Uint8Array }
  /**
   * What was heard so far is an utterance, finish it. Each is told `Committed` once, in order, within a few seconds (20 at most, while an
   * engine starts). Audio that follows waits for it, as after a `Reset`: no word comes on the wrong side.
   */
  | { readonly _tag: "Commit" }
  /** Forgets what was heard and said; told `WasReset`. A segment that was open is not told about any more. */
  | { readonly _tag: "Reset" }
  /**
   * No more audio comes. Told `Finished` when everything was said, or `Failed` with `NoEngine` when no engine has taken all of it within half a
   * minute; later audio is ignored. Whoever does not close is closed with 1000 five
   * seconds after that, and after `Saved` or `NotSaved`.
   */
  | { readonly _tag: "Finish" }
  /**
   * Keeps the transcript (`TranscriptStore`) after `Finished`; told `Saved` or `NotSaved`, or neither when nothing was said or nothing is
   * configured. A session that ends in another way after this is kept too.
   */
  | { readonly _tag: "Save" }
  /** The message means nothing in this dialect; counted. What the client is told of it, if anything, follows. */
  | { readonly _tag: "NotUnderstood" }
  | { readonly _tag: "Send"; readonly message: Message }
  /** Everything sent before still goes out. `reason` is cut to 123 bytes. Nothing is told any more. */
  | { readonly _tag: "Close"; readonly code: number; readonly reason?: string }

export interface StartOptions {
  readonly format: AudioFormat
  /** As the client writes it (`en`, `en-US`); one that no engine knows is the deployment's default. */
  readonly language?: string
  /** Name or model of an engine; what is not configured is the first engine, and `Ready` says which. */
  readonly engine?: string
}

/** A final of this session since it began or was reset. */
export interface SaidLine {
  readonly text: string
  readonly startMs: number
  readonly endMs: number
}

/** What the session tells its dialect, in order. Times are ms of the client's own audio since it began. */
export type Event =
  /** Who it is is known; comes before anything else of the session. `by` is where the credential was. */
  | { readonly _tag: "Admitted"; readonly by: "Request" | "Message" | "Nothing" }
  | { readonly _tag: "Denied"; readonly denial: Denial; readonly detail: string }
  | { readonly _tag: "Ready"; readonly engine: string; readonly model: string; readonly language: string }
  | { readonly _tag: "SpeechStarted"; readonly atMs: number }
  | { readonly _tag: "SpeechStopped"; readonly atMs: number }
  /** A state of a segment, see `Segment`; partials may be skipped. Times are present where they are known, else where in the audio it was. */
  | {
      readonly _tag: "Segment"
      readonly segment: Segment
      readonly startMs: number
      readonly endMs: number
      readonly language: string
    }
  /** Words are missing here: so much of the audio had to be given up before an engine could hear it. */
  | { readonly _tag: "Interrupted"; readonly atMs: number; readonly lengthMs: number }
  /** Everything said up to there is in finals that came before. */
  | { readonly _tag: "Settled"; readonly throughMs: number }
  | { readonly _tag: "Committed"; readonly said: ReadonlyArray<SaidLine> }
  | { readonly _tag: "WasReset" }
  | { readonly _tag: "Finished"; readonly said: ReadonlyArray<SaidLine> }
  | { readonly _tag: "Saved"; readonly key: string }
  | { readonly _tag: "NotSaved"; readonly detail: string }
  /** Every 10 s or as the dialect wants, `heardMs` being all audio so far. */
  | { readonly _tag: "Heartbeat"; readonly heardMs: number }
  /**
   * The session is about to end; what was heard by `BadAudio`, `Idle`, `SessionLimit`, `DailyMinutes` and `ShuttingDown` was said before, as far
   * as 6 s allow. A dialect that does not close is closed with the code of the failure in `closeCodes`.
   */
  | { readonly _tag: "Failed"; readonly failure: Failure; readonly detail: string }

/** Why a caller is not let in. */
export type Denial = "Unauthorized" | "Forbidden" | "ConcurrentStreams" | "DailyMinutes" | "TooManyStreams"

/**
 * Why a session ends that nobody asked to end. `NotStarted`: audio or a commit before there was a start, or none in time.
 */
export type Failure =
  | "Unauthenticated"
  | "NotStarted"
  | "BadMessage"
  | "BadAudio"
  | "NoEngine"
  | "Idle"
  | "SessionLimit"
  | "DailyMinutes"
  | "SlowReader"
  | "ShuttingDown"
  | "Internal"

/** What a dialect that knows nothing better closes with (RFC 6455 §7.4, IANA's registry). */
export const closeCodes: Readonly<Record<Denial | Failure, number>> = {
  Unauthorized: 1008,
  Forbidden: 1008,
  ConcurrentStreams: 1013,
  DailyMinutes: 1008,
  TooManyStreams: 1013,
  Unauthenticated: 1008,
  NotStarted: 1008,
  BadMessage: 1008,
  BadAudio: 1008,
  NoEngine: 1011,
  Idle: 1001,
  SessionLimit: 1001,
  SlowReader: 1013,
  ShuttingDown: 1001,
  Internal: 1011
}

export const notUnderstood: Request = { _tag: "NotUnderstood" }

/** A message in JSON. */
export const say = (message: object): Request => ({ _tag: "Send", message: JSON.stringify(message) })

/** Of one connection, when it is accepted. */
export interface Opening {
  /** A UUID of ours; never the client's. */
  readonly sessionId: string
  readonly path: string
  readonly query: URLSearchParams
  /** Longest session, seconds. */
  readonly sessionSeconds: number
  /** ms since 1970, for dialects that date their messages. */
  readonly now: () => number
}

/** One connection. Functions give what is to be done and never throw, whatever the client sends. */
export interface Conversation {
  /** Once, right after the connection was accepted, before anybody is admitted. */
  readonly opened?: () => ReadonlyArray<Request>
  readonly receive: (message: Message) => ReadonlyArray<Request>
  readonly tell: (event: Event) => ReadonlyArray<Request>
  /** The client is gone or closed: what should still be done. Nothing that is sent arrives; `Finish` and `Save` do what they say. */
  readonly hungUp?: () => ReadonlyArray<Request>
}

/** Where a dialect's clients put their credential besides `Authorization: Bearer` and `?token=`. */
export interface CredentialPlaces {
  /** Lower case; the whole value is the token. */
  readonly headers?: ReadonlyArray<string>
  readonly query?: ReadonlyArray<string>
  /** A subprotocol that begins so, the token behind it (browsers cannot set headers). */
  readonly subprotocolPrefix?: string
  /** `Authenticate` may come; without a credential in the request the session waits 5 s for it, then `Failed` `Unauthenticated`. */
  readonly messages?: boolean
  /** `?token=` is refused: the dialect's own rule. */
  readonly notInQuery?: boolean
  /**
   * The family's own servers ask for nothing. Where no credential was configured, callers on this machine need none either; elsewhere the
   * same rules hold for all.
   */
  readonly noneKnown?: boolean
}

export interface Dialect {
  /** For metrics, logs and the documentation. */
  readonly name: string
  readonly paths: ReadonlyArray<`/${string}`>
  readonly credentials: CredentialPlaces
  /** Chosen when the client offers it. */
  readonly subprotocol?: string
  /** A larger message ends the connection with 1009. */
  readonly maxMessageBytes: number
  /** Without a `Start` within this the session fails `NotStarted`; absent: `Start` comes by itself. */
  readonly startWithinSeconds?: number
  /** Between two heartbeats, for a dialect that must notice that nothing comes; absent: 10. */
  readonly heartbeatSeconds?: number
  readonly converse: (opening: Opening) => Conversation
}
