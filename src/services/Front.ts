/**
 * Front: the supervisor, as one of its runners sees it. What has to be the same in all runners, or once among them, goes through here.
 */
import type { Socket } from "node:net"
import { Context, type Effect, type Scope } from "effect"
import type { Address, Answers, OpenStreams, Reserved, Spent, StreamLimits } from "../supervisor/Messages.ts"

export interface Front {
  /** 0 is the first of this machine. */
  readonly slot: number
  /** The first process of all: it says what all would say at their start. */
  readonly isFirst: boolean
  /** 32 bytes, the same in all runners, until the supervisor ends. */
  readonly secret: Uint8Array
  /** The hash of the key of single-user mode, where one of the others has made or found it. */
  readonly generatedKey: Uint8Array | undefined
  /** Tells it to all that begin after. */
  readonly keyMade: (digest: Uint8Array) => void
  /** Connections to this address, unread, until `closing`; this runner's share of them. */
  readonly listen: (name: string, address: Address, take: (socket: Socket) => void) => Effect.Effect<Answers["Listen"]>
  /** None any more of that listener. */
  readonly closing: (name: string) => void
  /** Counts a stream in all runners where the limits allow it; it counts until `release`, or the end of this process. */
  readonly reserve: (subject: string, limits: StreamLimits) => Effect.Effect<Reserved>
  readonly release: (subject: string) => void
  readonly openStreams: (subject: string) => Effect.Effect<OpenStreams>
  /** What was streamed today, here and elsewhere, given what was found written down; and from then on what is streamed elsewhere. */
  readonly spent: (found: Spent, onMore: (spent: Spent) => void) => Effect.Effect<Spent>
  /** Tells what was streamed here since the last time. */
  readonly spending: (spent: Spent) => void
  /** The metrics of all runners as one text; of one that does not answer, as they were. */
  readonly metrics: Effect.Effect<string>
  /** What Nextcloud has told any of them last, if it has. */
  readonly isEnabled: () => boolean | undefined
  /** Nextcloud has told it this one. */
  readonly setEnabled: (isEnabled: boolean) => void
  /** Nextcloud has told it another one. */
  readonly onEnabled: (listener: (isEnabled: boolean) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** `undefined`: this process is alone. */
export const Front: Context.Reference<Front | undefined> = Context.Reference<Front | undefined>(
  "parlance/services/Front",
  { defaultValue: () => undefined }
)
