/**
 * Calls: what HTTP talks to.
 */
import { Context, type Effect } from "effect"
import type { IceServer, Intent, RoomToken, Viewer } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"

/** A call as status pages show it. */
export interface CallStatus {
  readonly room: RoomToken
  /** `Refused` carries advice for the admin; `Leaving` is the grace period without viewers. */
  readonly state: "Connecting" | "Captioning" | "Reconnecting" | "Leaving" | "Refused"
  readonly advice?: string
  readonly viewers: number
  /** Voices heard now. */
  readonly speakers: number
  readonly language: LanguageId
}

/**
 * Starts, changes, stops and lists calls. Everything is idempotent and answers when the intent is recorded, within milliseconds and
 * whatever the state of HPB and engine; the call itself starts or changes in the background and recovers by itself.
 */
export class Calls extends Context.Service<
  Calls,
  {
    /** Records that a viewer wants captions. `iceServers` (service mode) are kept in memory only and replace Nextcloud's for this call. */
    readonly start: (
      intent: Intent,
      options?: { readonly iceServers?: ReadonlyArray<IceServer> }
    ) => Effect.Effect<void>
    /** The viewer wants no more. With the last one gone nothing is heard from that moment; the room is left after a grace period. */
    readonly stop: (room: RoomToken, viewer: Viewer) => Effect.Effect<void>
    /** Ends a call for all its viewers at once. `false`: there was none. */
    readonly end: (room: RoomToken) => Effect.Effect<boolean>
    /** Ends every call and forgets all intents. */
    readonly endAll: Effect.Effect<void>
    /** `false`: nobody reads in this room. */
    readonly setLanguage: (room: RoomToken, language: LanguageId) => Effect.Effect<boolean>
    readonly list: Effect.Effect<ReadonlyArray<CallStatus>>
  }
>()("parlance/services/Calls") {}
