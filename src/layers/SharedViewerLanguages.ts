/**
 * ViewerLanguages of several processes with one database: what stands there counts, and before it what this process has yet to write.
 */
import { Clock, Effect, Fiber, Option } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Database } from "./Database.ts"
import type { StoredViewerLanguages } from "./StoredViewerLanguages.ts"
import { ALL, decode, isOver, keyOf, LIFETIME_MS, MOST, type Row } from "./ViewerLanguageRows.ts"

/** Whoever asks for captions waits no longer for the database: without an answer what this process has heard counts. */
const ASK_LIMIT = "200 millis"
const TRIM_EVERY_MS = 3_600_000
const NOTHING = { unwritten: new Set<string>(), cleared: new Set<RoomToken>() }

/** `onChange`: there is something to write. */
export const make = Effect.fnUntraced(function* (
  { atOnce, sql }: Pick<Database, "atOnce" | "sql">,
  onChange: () => void
): Effect.fn.Return<StoredViewerLanguages> {
  const clock = yield* Clock.Clock
  /** What was chosen here, the oldest first. */
  const heard = new Map<string, Row>()
  /** Keys of what was heard and is not in the database. */
  let unwritten = new Set<string>()
  /** Rooms of which nothing counts that stands in the database. */
  let cleared = new Set<RoomToken>()
  /** What the write that is under way is about. */
  let writing: { readonly unwritten: ReadonlySet<string>; readonly cleared: ReadonlySet<RoomToken> } = NOTHING
  let trimmedMs = Number.NEGATIVE_INFINITY

  const put = (room: RoomToken, user: string, language: LanguageId) => {
    const row: Row = { room, user, language, chosen_ms: clock.currentTimeMillisUnsafe() }
    heard.delete(keyOf(row))
    heard.set(keyOf(row), row)
    unwritten.add(keyOf(row))
    for (const oldest of heard.keys()) {
      if (heard.size <= MOST) break
      heard.delete(oldest)
      unwritten.delete(oldest)
    }
    onChange()
  }
  const forget = (room: RoomToken) => {
    for (const [key, row] of heard) {
      if (row.room !== room) continue
      heard.delete(key)
      unwritten.delete(key)
    }
  }

  const read = (room: RoomToken, users: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      // On its own: a statement cannot be interrupted before the database has taken note of that.
      const asking = yield* Effect.forkDetach(
        sql`SELECT * FROM viewer_languages WHERE room = ${room} AND ${sql.in("user", users)}`
      )
      const rows = yield* Effect.timeoutOption(Fiber.join(asking), ASK_LIMIT)
      return Option.map(rows, (all) => all.flatMap((row) => Option.toArray(decode(row))))
    }).pipe(Effect.orElseSucceed(() => Option.none<ReadonlyArray<Row>>()))

  const last = Effect.fnUntraced(function* (room: RoomToken, user: string | undefined) {
    const users = user === undefined ? [ALL] : [user, ALL]
    const stored = cleared.has(room) || writing.cleared.has(room) ? Option.none() : yield* read(room, users)
    for (const one of users) {
      const key = keyOf({ room, user: one })
      const ours = heard.get(key)
      const theirs = Option.getOrUndefined(Option.map(stored, (rows) => rows.find((row) => row.user === one)))
      // What others have deleted or replaced since counts no more, where the database says so.
      const row =
        Option.isNone(stored) || unwritten.has(key) || writing.unwritten.has(key) ? newest(ours, theirs) : theirs
      if (row !== undefined && !isOver(row, clock.currentTimeMillisUnsafe())) return row.language
    }
    return undefined
  })

  const trim = (nowMs: number) => [
    sql`DELETE FROM viewer_languages WHERE chosen_ms <= ${nowMs - LIFETIME_MS}`,
    sql`DELETE FROM viewer_languages WHERE chosen_ms <
      (SELECT chosen_ms FROM viewer_languages ORDER BY chosen_ms DESC LIMIT 1 OFFSET ${MOST - 1})`
  ]
  const write = Effect.suspend(() => {
    const nowMs = clock.currentTimeMillisUnsafe()
    const isTrimming = nowMs - trimmedMs >= TRIM_EVERY_MS
    if (unwritten.size === 0 && cleared.size === 0 && !isTrimming) return Effect.void
    const batch = { unwritten, cleared }
    unwritten = new Set()
    cleared = new Set()
    writing = batch
    const rows = [...batch.unwritten].flatMap((key) => heard.get(key) ?? [])
    return atOnce([
      ...[...batch.cleared].map((room) => sql`DELETE FROM viewer_languages WHERE room = ${room}`),
      ...rows.map(
        (row) => sql`
          INSERT INTO viewer_languages ${sql.insert(row)}
          ON CONFLICT (room, "user") DO UPDATE SET language = excluded.language, chosen_ms = excluded.chosen_ms
          WHERE excluded.chosen_ms >= viewer_languages.chosen_ms`
      ),
      ...(isTrimming ? trim(nowMs) : [])
    ]).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          if (isTrimming) trimmedMs = nowMs
        })
      ),
      Effect.onError(() =>
        Effect.sync(() => {
          unwritten = new Set([...batch.unwritten, ...unwritten])
          cleared = new Set([...batch.cleared, ...cleared])
        })
      ),
      Effect.ensuring(
        Effect.sync(() => {
          writing = NOTHING
        })
      ),
      Effect.asVoid
    )
  })

  const made: StoredViewerLanguages = {
    languages: {
      choose: (room, user, language) => Effect.sync(() => put(room, user, language)),
      chooseForAll: (room, language) =>
        Effect.sync(() => {
          forget(room)
          cleared.add(room)
          put(room, ALL, language)
        }),
      last
    },
    load: Effect.void,
    write
  }
  return made
})

const newest = (ours: Row | undefined, theirs: Row | undefined): Row | undefined =>
  ours === undefined || (theirs !== undefined && theirs.chosen_ms > ours.chosen_ms) ? theirs : ours
