/**
 * CallPrivacy: where the voices of one call may go.
 */
import type { RoomToken } from "../domain/Call.ts"
import { type Privacy, strictest } from "../domain/Privacy.ts"
import type { CallIntents } from "./CallIntents.ts"

/** Read for every voice that begins: as strict as the rule for the room, and as whoever asked for captions. */
export const make = (
  localOnlyRooms: ReadonlyArray<RoomToken>,
  { privacy, room }: Pick<CallIntents, "privacy" | "room">
): (() => Privacy) => {
  const rule: Privacy = localOnlyRooms.includes(room) ? "local-only" : "any"
  return () => strictest(rule, privacy())
}
