/**
 * ViewerLanguages on the disk: one row for each user of Nextcloud in a room, and one for the room itself. The next process begins with them.
 */
import { Array as Arr, Clock, Effect, Option } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { ViewerLanguages } from "../services/ViewerLanguages.ts"
import type { Database } from "./Database.ts"
import * as SharedViewerLanguages from "./SharedViewerLanguages.ts"
import { ALL, decode, isOver, keyOf, MOST, type Row } from "./ViewerLanguageRows.ts"

export interface StoredViewerLanguages {
  readonly languages: ViewerLanguages["Service"]
  /** Reads what an earlier process left; only the first time: later files get what this process knows. */
  readonly load: Effect.Effect<void, SqlError>
  /** Writes what has changed. */
  readonly write: Effect.Effect<void, SqlError>
}

/** SQLite takes 32,766 parameters in a statement. */
const ROWS_AT_ONCE = 1000

/** `onChange`: there is something to write. */
export const make = (
  database: Pick<Database, "atOnce" | "isShared" | "sql">,
  onChange: () => void
): Effect.Effect<StoredViewerLanguages> =>
  database.isShared ? SharedViewerLanguages.make(database, onChange) : makeAlone(database, onChange)

/** All of it is in memory. */
const makeAlone = Effect.fnUntraced(function* (
  { sql }: Pick<Database, "sql">,
  onChange: () => void
): Effect.fn.Return<StoredViewerLanguages> {
  const clock = yield* Clock.Clock
  /** The oldest choice first. */
  const choices = new Map<string, Row>()
  /** What stands otherwise in the file, by key. */
  let changed = new Map<string, Pick<Row, "room" | "user">>()
  let isAllChanged = false
  let isLoaded = false
  /** Rooms of which nothing counts that has not been read yet. */
  const cleared = new Set<RoomToken>()

  const remove = (row: Row) => {
    choices.delete(keyOf(row))
    changed.set(keyOf(row), row)
  }
  const trim = () => {
    for (const oldest of choices.values()) {
      if (choices.size <= MOST && !isOver(oldest, clock.currentTimeMillisUnsafe())) return
      remove(oldest)
    }
  }
  const put = (room: RoomToken, user: string, language: LanguageId) => {
    const row: Row = { room, user, language, chosen_ms: clock.currentTimeMillisUnsafe() }
    // behind all others
    remove(row)
    choices.set(keyOf(row), row)
    trim()
    onChange()
  }
  const find = (room: RoomToken, user: string): LanguageId | undefined => {
    const row = choices.get(keyOf({ room, user }))
    return row === undefined || isOver(row, clock.currentTimeMillisUnsafe()) ? undefined : row.language
  }

  const load = Effect.gen(function* () {
    if (isLoaded) {
      isAllChanged = true
      return
    }
    const rows = yield* sql`SELECT * FROM viewer_languages ORDER BY chosen_ms`
    isLoaded = true
    const found = rows.flatMap((row) => Option.toArray(decode(row)))
    isAllChanged = found.length < rows.length || found.some(({ room }) => cleared.has(room))
    const newer = [...choices]
    choices.clear()
    for (const row of found) if (!cleared.has(row.room)) choices.set(keyOf(row), row)
    for (const [key, row] of newer) {
      choices.delete(key)
      choices.set(key, row)
    }
    cleared.clear()
    trim()
  })

  const write = Effect.suspend(() => {
    if (changed.size === 0 && !isAllChanged) return Effect.void
    const [batch, isAll] = [changed, isAllChanged]
    const rows = isAll ? [...choices.values()] : [...batch.keys()].flatMap((key) => choices.get(key) ?? [])
    const gone = isAll ? [] : [...batch].flatMap(([key, row]) => (choices.has(key) ? [] : [row]))
    changed = new Map()
    isAllChanged = false
    return Effect.gen(function* () {
      if (isAll) yield* sql`DELETE FROM viewer_languages`
      for (const { room, user } of gone) {
        yield* sql`DELETE FROM viewer_languages WHERE room = ${room} AND user = ${user}`
      }
      for (const some of Arr.chunksOf(rows, ROWS_AT_ONCE)) {
        yield* sql`INSERT OR REPLACE INTO viewer_languages ${sql.insert(some)}`
      }
    }).pipe(
      sql.withTransaction,
      Effect.onError(() =>
        Effect.sync(() => {
          changed = new Map([...batch, ...changed])
          isAllChanged ||= isAll
        })
      )
    )
  })

  const made: StoredViewerLanguages = {
    languages: {
      choose: (room, user, language) => Effect.sync(() => put(room, user, language)),
      chooseForAll: (room, language) =>
        Effect.sync(() => {
          if (!isLoaded) cleared.add(room)
          for (const row of choices.values()) if (row.room === room) remove(row)
          put(room, ALL, language)
        }),
      last: (room, user) => Effect.sync(() => (user === undefined ? undefined : find(room, user)) ?? find(room, ALL))
    },
    load,
    write
  }
  return made
})
