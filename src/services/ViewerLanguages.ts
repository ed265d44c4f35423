/**
 * ViewerLanguages: what viewers last read in. A page that is loaded anew asks for captions without saying so where the room has no
 * language of its own.
 */
import { Context, type Effect } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"

/**
 * Remembers choices, the newest first, for longer than an intent lives. Never fails, answers within milliseconds; what is not known any
 * more is as if it had never been chosen.
 */
export class ViewerLanguages extends Context.Service<
  ViewerLanguages,
  {
    /** This user of Nextcloud reads this room in this language. */
    readonly choose: (room: RoomToken, user: string, language: LanguageId) => Effect.Effect<void>
    /** A moderator has chosen for everybody: whatever was chosen for the room before is forgotten. */
    readonly chooseForAll: (room: RoomToken, language: LanguageId) => Effect.Effect<void>
    /** The newest choice that counts for this user; for guests, who have no name, the room's. */
    readonly last: (room: RoomToken, user: string | undefined) => Effect.Effect<LanguageId | undefined>
  }
>()("parlance/services/ViewerLanguages") {}
