/**
 * Intents on the disk: one row for each (room, viewer), there before a request is acknowledged. The next process begins with them.
 */
import { Array as Arr, Clock, Deferred, Effect, Option, Schema, type Scope } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import {
  Everyone,
  type Intent,
  NextcloudSessionId,
  participant,
  RoomToken,
  type Viewer,
  viewerKey
} from "../domain/Call.ts"
import { LanguageId } from "../domain/Language.ts"
import { Privacy } from "../domain/Privacy.ts"
import type { RecordIntent } from "./CallIntents.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as StoredViewerLanguages from "./StoredViewerLanguages.ts"

export interface StoredIntents {
  readonly record: RecordIntent
  /** A viewer, a room or everything is not wanted any more: counts for what has not been read yet. */
  readonly dismiss: (room?: RoomToken, viewer?: Viewer) => void
  /** Reads what an earlier process left, oldest wish first; only the first time: later files get what this process knows. */
  readonly load: Effect.Effect<ReadonlyArray<Intent>, SqlError>
  /** Writes what has changed. */
  readonly write: Effect.Effect<void, SqlError>
  /** Returns when what was recorded so far is written, or could not be. */
  readonly written: Effect.Effect<void>
  /** Whoever reads in these rooms is there: their intents live on. */
  readonly renew: (rooms: ReadonlySet<RoomToken>) => void
  /** Those whose time is over. */
  readonly expired: () => ReadonlyArray<Intent>
}

/**
 * A viewer whose presence nobody has seen for so long is forgotten. While the room is joined that takes a minute (`CallPresence`); this
 * is for outages of the HPB or of this service. Twelve hours: longer than a working day's call, and than an outage after which a page
 * could still stand open in the same call; short enough that nobody finds captions the next day that were asked for on this one.
 */
export const LIFETIME_MS = 12 * 3_600_000
/** A crash shortens a life by no more than this, and a disk has no more to do. */
const RENEW_MS = LIFETIME_MS / 12
/** SQLite takes 32,766 parameters in a statement. */
const ROWS_AT_ONCE = 1000

/** Of the whole file. */
export const migrations: Migrator.Loader = Migrator.fromRecord({
  "0001_call_intents": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`
      CREATE TABLE call_intents (
        room TEXT NOT NULL,
        viewer TEXT NOT NULL,
        language TEXT NOT NULL,
        privacy TEXT NOT NULL,
        asked_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        PRIMARY KEY (room, viewer)
      ) WITHOUT ROWID`
  ),
  "0002_viewer_languages": StoredViewerLanguages.table
})

const Row = Schema.Struct({
  room: RoomToken,
  viewer: Schema.String,
  language: LanguageId,
  privacy: Privacy,
  asked_ms: Schema.Finite,
  expires_ms: Schema.Finite
})
const decode = Schema.decodeUnknownOption(Row)
const decodeSession = Schema.decodeUnknownOption(NextcloudSessionId)

interface Entry {
  readonly intent: Intent
  /** Wall clock. */
  readonly askedMs: number
  readonly expiresMs: number
  /** Monotonic: a clock that is set right ends no call. */
  readonly renewedMs: number
}

export const make = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient
): Effect.fn.Return<StoredIntents, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = yield* monotonicMs
  const unstored = yield* Effect.map(
    Effect.context<never>(),
    (context) => () => Metrics.intentsUnstored.updateUnsafe(changed.size, context)
  )
  const entries = new Map<string, Entry>()
  /** What stands otherwise in the file, by key. */
  let changed = new Map<string, Intent>()
  let isAllChanged = false
  let isLoaded = false
  const dismissed = new Set<string>()
  /** Done when what has changed since the last attempt was tried. */
  let attempt = Deferred.makeUnsafe<void>()
  let underWay: Deferred.Deferred<void> | undefined

  const touch = (intent: Intent) => {
    changed.set(keyOf(intent), intent)
    unstored()
  }
  const keep = (intent: Intent, askedMs: number) =>
    entries.set(keyOf(intent), {
      intent,
      askedMs,
      expiresMs: clock.currentTimeMillisUnsafe() + LIFETIME_MS,
      renewedMs: now()
    })
  const isDismissed = ({ room, viewer }: Intent) =>
    [EVERYTHING, room, keyOf({ room, viewer })].some((what) => dismissed.has(what))

  const load = Effect.gen(function* () {
    if (isLoaded) {
      isAllChanged = true
      return []
    }
    const rows = yield* sql`SELECT * FROM call_intents ORDER BY asked_ms`
    isLoaded = true
    const wallMs = clock.currentTimeMillisUnsafe()
    const found = rows.flatMap((row) => Option.toArray(entryOf(row)))
    const alive = found.filter(({ expiresMs, intent }) => expiresMs > wallMs && !isDismissed(intent))
    isAllChanged = alive.length < rows.length
    dismissed.clear()
    const restored = alive.filter(({ intent }) => !entries.has(keyOf(intent)) && !changed.has(keyOf(intent)))
    for (const { askedMs, expiresMs, intent } of restored) {
      const leftMs = Math.min(expiresMs - wallMs, LIFETIME_MS)
      entries.set(keyOf(intent), { intent, askedMs, expiresMs, renewedMs: now() + leftMs - LIFETIME_MS })
    }
    return restored.map(({ intent }) => intent)
  })

  const write = Effect.suspend(() => {
    if (changed.size === 0 && !isAllChanged) return Effect.void
    const [batch, isAll, done] = [changed, isAllChanged, attempt]
    const touched = isAll ? [...entries.keys()] : [...batch.keys()]
    const rows = touched.flatMap((key) => {
      const entry = entries.get(key)
      return entry === undefined ? [] : [rowOf(entry)]
    })
    const gone = isAll ? [] : [...batch].flatMap(([key, intent]) => (entries.has(key) ? [] : [intent]))
    changed = new Map()
    isAllChanged = false
    attempt = Deferred.makeUnsafe()
    underWay = done
    return Effect.gen(function* () {
      if (isAll) yield* sql`DELETE FROM call_intents`
      for (const { room, viewer } of gone) {
        yield* sql`DELETE FROM call_intents WHERE room = ${room} AND viewer = ${viewerKey(viewer)}`
      }
      for (const some of Arr.chunksOf(rows, ROWS_AT_ONCE)) {
        yield* sql`INSERT OR REPLACE INTO call_intents ${sql.insert(some)}`
      }
    }).pipe(
      sql.withTransaction,
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (exit._tag === "Failure") {
            changed = new Map([...batch, ...changed])
            isAllChanged ||= isAll
          }
          unstored()
          underWay = undefined
          Deferred.doneUnsafe(done, Effect.void)
        })
      )
    )
  })

  const made: StoredIntents = {
    record: (intent, isWanted) => {
      if (isWanted) keep(intent, clock.currentTimeMillisUnsafe())
      else entries.delete(keyOf(intent))
      touch(intent)
    },
    dismiss: (room, viewer) => {
      if (isLoaded) return
      if (room === undefined) dismissed.add(EVERYTHING)
      else dismissed.add(viewer === undefined ? room : keyOf({ room, viewer }))
    },
    load,
    write,
    written: Effect.suspend(() => {
      if (changed.size > 0) return Deferred.await(attempt)
      return underWay === undefined ? Effect.void : Deferred.await(underWay)
    }),
    renew: (rooms) => {
      for (const { askedMs, intent, renewedMs } of [...entries.values()]) {
        if (!rooms.has(intent.room) || now() - renewedMs < RENEW_MS) continue
        keep(intent, askedMs)
        touch(intent)
      }
    },
    expired: () =>
      [...entries.values()].flatMap(({ intent, renewedMs }) => (now() - renewedMs < LIFETIME_MS ? [] : [intent]))
  }
  return made
})

/** No room has this name. */
const EVERYTHING = "*"

const keyOf = ({ room, viewer }: Pick<Intent, "room" | "viewer">): string => `${room} ${viewerKey(viewer)}`

const rowOf = ({ askedMs, expiresMs, intent: { language, privacy = "any", room, viewer } }: Entry) => ({
  room,
  viewer: viewerKey(viewer),
  language,
  privacy,
  asked_ms: askedMs,
  expires_ms: expiresMs
})

const entryOf = (row: unknown) =>
  Option.flatMap(decode(row), ({ asked_ms, expires_ms, language, privacy, room, viewer }) =>
    Option.map(viewerOf(viewer), (who) => ({
      intent: { room, viewer: who, language, ...(privacy === "any" ? {} : { privacy }) },
      askedMs: asked_ms,
      expiresMs: expires_ms
    }))
  )

/** The inverse of `viewerKey`. */
const viewerOf = (key: string): Option.Option<Viewer> => {
  if (key === viewerKey(Everyone)) return Option.some(Everyone)
  const session = /^participant:(.+)$/s.exec(key)?.[1]
  return Option.map(decodeSession(session), participant)
}
