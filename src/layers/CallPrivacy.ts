/**
 * CallPrivacy: where the voices of one call may go.
 */
import type { RoomToken } from "../domain/Call.ts"
import { type Privacy, strictest } from "../domain/Privacy.ts"
import type { CallIntents } from "./CallIntents.ts"

/**
 * Read for every voice that begins: as strict as the rule for the room, and as whoever asked for captions. While a call runs it only
 * becomes stricter.
 */
export const make = (
  localOnlyRooms: ReadonlyArray<RoomToken>,
  { list, room }: Pick<CallIntents, "list" | "room">
): (() => Privacy) => {
  let current: Privacy = localOnlyRooms.includes(room) ? "local-only" : "any"
  return () => {
    for (const { privacy } of list()) current = strictest(current, privacy)
    return current
  }
}
