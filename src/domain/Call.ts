/**
 * What a call is to us: a room, the people who asked to read along, and the language they read in.
 */
import { Schema } from "effect"
import type { LanguageId } from "./Language.ts"
import type { Privacy } from "./Privacy.ts"

/** Talk's token of a conversation; the HPB's `roomid`. */
export const RoomToken = Schema.String.check(Schema.isPattern(/^[\w-]{1,64}$/)).pipe(Schema.brand("RoomToken"))
export type RoomToken = typeof RoomToken.Type

/** Public session id of a participant on the HPB: the address of messages, and Talk's `speakerSessionId`. New after every full hello. */
export const SessionId = Schema.NonEmptyString.check(Schema.isMaxLength(2048)).pipe(Schema.brand("SessionId"))
export type SessionId = typeof SessionId.Type

/** Nextcloud's id of a participant's session (Talk's `ncSessionId`); survives an HPB restart, not a page reload. */
export const NextcloudSessionId = Schema.NonEmptyString.check(Schema.isMaxLength(2048)).pipe(
  Schema.brand("NextcloudSessionId")
)
export type NextcloudSessionId = typeof NextcloudSessionId.Type

/** Who reads: one participant who asked, or everybody in the call (service mode). */
export type Viewer =
  | { readonly _tag: "Participant"; readonly session: NextcloudSessionId }
  | { readonly _tag: "Everyone" }

export const Everyone: Viewer = { _tag: "Everyone" }
export const participant = (session: NextcloudSessionId): Viewer => ({ _tag: "Participant", session })

/** Key of a viewer within one room. */
export const viewerKey = (viewer: Viewer): string =>
  viewer._tag === "Everyone" ? "everyone" : `participant:${viewer.session}`

/** The only truth about a call: this viewer wants captions of this room, in this language. */
export interface Intent {
  readonly room: RoomToken
  readonly viewer: Viewer
  readonly language: LanguageId
  /** Where this viewer lets the voices of the call go; as far as everything else allows when absent. */
  readonly privacy?: Privacy
}

/** One STUN or TURN server as browsers take it; from Nextcloud's settings or an authenticated request. */
export const IceServer = Schema.Struct({
  urls: Schema.Array(Schema.String.check(Schema.isPattern(/^(stun|turn|turns):/), Schema.isMaxLength(512))).check(
    Schema.isMaxLength(16)
  ),
  username: Schema.optionalKey(Schema.String),
  credential: Schema.optionalKey(Schema.String)
})
export type IceServer = typeof IceServer.Type
