/**
 * What a supervisor and its runners tell each other over IPC. Both ends are the same version: the types are the agreement, and nothing but
 * types is here, because the supervisor has to be small. Connections travel beside a `Connection`.
 */

/** A port of an address (0: any that is free), or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** Where a listener really listens: a path, or what `server.address()` says. */
export type Bound = string | { readonly address: string; readonly family: string; readonly port: number }

/** Seconds of audio by subject, on a day (days since 1970, UTC). */
export interface Spent {
  readonly day: number
  readonly seconds: ReadonlyArray<readonly [subject: string, seconds: number]>
}

/** Why there is no stream for somebody, or that there is one. */
export type Reserved = "Reserved" | "ConcurrentStreams" | "TooManyStreams"

/** Streams that are open, in all runners. */
export interface OpenStreams {
  readonly ofSubject: number
  readonly ofAll: number
}

export interface StreamLimits {
  readonly ofSubject: number
  readonly ofAll: number
}

/** What a runner asks; each has one answer. */
export interface Questions {
  /** Connections of a listener from now on. The first who asks has it opened. */
  readonly Listen: { readonly name: string; readonly address: Address }
  readonly Reserve: { readonly subject: string; readonly limits: StreamLimits }
  readonly OpenStreams: { readonly subject: string }
  /** What was spent before this runner was there; what the file said is a beginning where nobody has asked before. */
  readonly Spent: Spent
  /** The metrics of all runners as one text. */
  readonly Metrics: Record<never, never>
}

export interface Answers {
  readonly Listen:
    | { readonly _tag: "Listening"; readonly at: Bound; readonly isFirst: boolean }
    | { readonly _tag: "NotListening"; readonly code: string }
  readonly Reserve: Reserved
  readonly OpenStreams: OpenStreams
  readonly Spent: Spent
  readonly Metrics: string
}

export type QuestionName = keyof Questions

/** One of the questions, with a number of the runner's that its answer repeats. */
export type Question = {
  [N in QuestionName]: { readonly _tag: "Question"; readonly id: number; readonly name: N; readonly of: Questions[N] }
}[QuestionName]

/** What a supervisor has to know of the configuration, which it does not read. */
export interface SupervisorSettings {
  readonly shutdownSeconds: number
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
}

/** From a runner to its supervisor. */
export type FromRunner =
  | Question
  /** It does what it was configured for, and says what of that is for its supervisor. */
  | ({ readonly _tag: "Ready" } & SupervisorSettings)
  /**
   * Once a second: the share of a core that it used since the last time (0.6; more than 1 with threads), how many connections it has ever
   * got, how many of them are open.
   */
  | { readonly _tag: "Load"; readonly cpu: number; readonly received: number; readonly open: number }
  /** It has the connection that came with this number. */
  | { readonly _tag: "Taken"; readonly id: number }
  /** It takes no more connections of this listener. */
  | { readonly _tag: "Closing"; readonly name: string }
  | { readonly _tag: "Released"; readonly subject: string }
  /** Since the last time. */
  | { readonly _tag: "Spending"; readonly spent: Spent }
  | { readonly _tag: "Scraped"; readonly id: number; readonly text: string }
  /** Nextcloud has enabled or disabled the app. */
  | { readonly _tag: "Enabled"; readonly isEnabled: boolean }
  /** The hash (hex) of the key of single-user mode, which others are to let in too. */
  | { readonly _tag: "KeyMade"; readonly digest: string }

/** The first message to a runner. */
export interface Welcome {
  readonly _tag: "Welcome"
  readonly slot: number
  readonly incarnation: string
  /** The first process of all: it says what all of them would say at their start. */
  readonly isFirst: boolean
  /** Base64, 32 bytes, the same for all runners: signs credentials that each has to recognise. */
  readonly secret: string
  /** See `KeyMade`. */
  readonly generatedKey?: string | undefined
  /** What Nextcloud has said last. */
  readonly isEnabled?: boolean | undefined
}

/** From the supervisor to a runner. */
export type ToRunner =
  | Welcome
  | { readonly _tag: "Answer"; readonly id: number; readonly is: Answers[QuestionName] }
  /** A connection of this listener comes with it. */
  | { readonly _tag: "Connection"; readonly name: string; readonly id: number }
  /** The same of another runner. */
  | { readonly _tag: "Spending"; readonly spent: Spent }
  | { readonly _tag: "Scrape"; readonly id: number }
  | { readonly _tag: "Enabled"; readonly isEnabled: boolean }
  /** The process of this incarnation has ended. */
  | { readonly _tag: "Gone"; readonly incarnation: string }
  /** To end in order, as after SIGTERM. */
  | { readonly _tag: "Stop" }
