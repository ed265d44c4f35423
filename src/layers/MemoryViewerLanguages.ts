/**
 * ViewerLanguages in this process: forgotten when it ends.
 */
import { Effect, Layer } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { ViewerLanguages } from "../services/ViewerLanguages.ts"

interface Choices {
  forAll: LanguageId | undefined
  readonly users: Map<string, LanguageId>
}

/** Rooms, and users of one room; beyond, those go of whom nothing was heard for longest. */
const mostRooms = 1_000
const mostUsers = 1_000

export const layer = Layer.sync(ViewerLanguages, () => {
  const rooms = new Map<RoomToken, Choices>()
  const choicesOf = (room: RoomToken): Choices => {
    const choices = rooms.get(room) ?? { forAll: undefined, users: new Map() }
    keep(rooms, room, choices, mostRooms)
    return choices
  }
  return {
    choose: (room, user, language) => Effect.sync(() => keep(choicesOf(room).users, user, language, mostUsers)),
    chooseForAll: (room, language) =>
      Effect.sync(() => {
        const choices = choicesOf(room)
        choices.forAll = language
        choices.users.clear()
      }),
    last: (room, user) =>
      Effect.sync(() => {
        const choices = rooms.get(room)
        return (user === undefined ? undefined : choices?.users.get(user)) ?? choices?.forAll
      })
  }
})

/** As the newest entry; the oldest goes where there are too many. */
const keep = <K, V>(entries: Map<K, V>, key: K, value: V, most: number) => {
  entries.delete(key)
  entries.set(key, value)
  for (const oldest of entries.keys()) {
    if (entries.size <= most) return
    entries.delete(oldest)
  }
}
