/**
 * The table of intents: what a row says, and the statements that make it say what is in memory.
 */
import { Array as Arr, Effect, Option, Schema } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
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
import * as SqlDialect from "./SqlDialect.ts"
import * as ViewerLanguageRows from "./ViewerLanguageRows.ts"

/** Wall clock. */
export interface Entry {
  readonly intent: Intent
  readonly askedMs: number
  readonly expiresMs: number
}

/** What is to be changed; what is wanted stands in the entries. */
export interface Batch {
  readonly changed: ReadonlyMap<string, Intent>
  /** Rooms, or `EVERYTHING`, of which nothing that stands there counts. */
  readonly rewritten: ReadonlySet<string>
  /** What was asked for by then is not wanted any more, in all rooms but these. */
  readonly ended: { readonly byMs: number; readonly except: ReadonlyArray<string> } | undefined
}

/** Selects, as `room`, those of these rooms that this process runs. */
export type Mine = (rooms: ReadonlyArray<RoomToken>) => Statement<{ readonly room: string }>

/** No room has this name. */
export const EVERYTHING = "*"
/** SQLite takes 32,766 parameters in a statement. */
const ROWS_AT_ONCE = 1000

/** Of everything that is ours. */
export const migrations: Migrator.Loader = Migrator.fromRecord({
  "0001_call_intents": Effect.flatMap(SqlClient.SqlClient, (sql) => {
    const { milliseconds, tableEnd } = SqlDialect.of(sql)
    return sql`
      CREATE TABLE call_intents (
        room TEXT NOT NULL,
        viewer TEXT NOT NULL,
        language TEXT NOT NULL,
        privacy TEXT NOT NULL,
        asked_ms ${milliseconds} NOT NULL,
        expires_ms ${milliseconds} NOT NULL,
        PRIMARY KEY (room, viewer)
      ) ${tableEnd}`
  }),
  "0002_viewer_languages": ViewerLanguageRows.table
})

const Row = Schema.Struct({
  room: RoomToken,
  viewer: Schema.String,
  language: LanguageId,
  privacy: Privacy,
  asked_ms: Schema.Finite,
  expires_ms: Schema.Finite
})
type Row = typeof Row.Type
const decode = Schema.decodeUnknownOption(Row)
const decodeRoom = Schema.decodeUnknownOption(Schema.Struct({ room: RoomToken }))
const decodeSession = Schema.decodeUnknownOption(NextcloudSessionId)

export const keyOf = ({ room, viewer }: Pick<Intent, "room" | "viewer">): string => `${room} ${viewerKey(viewer)}`

export const entryOf = (row: unknown): Option.Option<Entry> =>
  Option.flatMap(decode(row), ({ asked_ms, expires_ms, language, privacy, room, viewer }) =>
    Option.map(viewerOf(viewer), (who) => ({
      intent: { room, viewer: who, language, ...(privacy === "any" ? {} : { privacy }) },
      askedMs: asked_ms,
      expiresMs: expires_ms
    }))
  )

/** The rooms of rows. */
export const roomsOf = (rows: ReadonlyArray<unknown>): ReadonlyArray<RoomToken> =>
  rows.flatMap((row) => Option.toArray(decodeRoom(row)).map(({ room }) => room))

/** With `mine`, the first one gives the rooms that were this process's own while all of them ran. */
export const statementsOf = (
  sql: SqlClient.SqlClient,
  { changed, ended, rewritten }: Batch,
  entries: ReadonlyMap<string, Entry>,
  mine: Mine | undefined
): ReadonlyArray<Statement<unknown>> => {
  const isRewritten = (room: string) => rewritten.has(EVERYTHING) || rewritten.has(room)
  const rows = [...entries].flatMap(([key, entry]) =>
    changed.has(key) || isRewritten(entry.intent.room) ? [rowOf(entry)] : []
  )
  const gone = [...changed].flatMap(([key, { room, viewer }]) =>
    entries.has(key) || isRewritten(room) ? [] : [{ room, viewer: viewerKey(viewer) }]
  )
  const rooms = Arr.dedupe(
    [...rows, ...gone].map(({ room }) => room).concat(roomsOf([...rewritten].map((room) => ({ room }))))
  )
  const { held } = SqlDialect.of(sql)
  const own = (some: ReadonlyArray<RoomToken>) => (mine === undefined ? sql`1 = 1` : sql`room IN (${mine(some)})`)
  return [
    ...(mine === undefined ? [] : [sql`${mine(rooms)} ${held}`]),
    ...(ended === undefined ? [] : [dropped(sql, ended)]),
    ...(rewritten.has(EVERYTHING) ? [sql`DELETE FROM call_intents`] : []),
    ...[...rewritten].flatMap((room) => {
      const some = roomsOf([{ room }])
      return some.length === 0 ? [] : [sql`DELETE FROM call_intents WHERE room = ${room} AND ${own(some)}`]
    }),
    ...gone.map(
      ({ room, viewer }) => sql`DELETE FROM call_intents WHERE room = ${room} AND viewer = ${viewer} AND ${own([room])}`
    ),
    ...Arr.chunksOf(rows, ROWS_AT_ONCE).map((some) => inserted(sql, some, mine))
  ]
}

const dropped = (sql: SqlClient.SqlClient, { byMs, except }: NonNullable<Batch["ended"]>) =>
  except.length === 0
    ? sql`DELETE FROM call_intents WHERE asked_ms <= ${byMs}`
    : sql`DELETE FROM call_intents WHERE asked_ms <= ${byMs} AND NOT (${sql.in("room", except)})`

const inserted = (sql: SqlClient.SqlClient, rows: Arr.NonEmptyReadonlyArray<Row>, mine: Mine | undefined) => {
  const newest = sql`ON CONFLICT (room, viewer) DO UPDATE SET language = excluded.language, privacy = excluded.privacy,
    asked_ms = excluded.asked_ms, expires_ms = excluded.expires_ms`
  if (mine === undefined) return sql`INSERT INTO call_intents ${sql.insert(rows)} ${newest}`
  const values = sql.csv(
    rows.map(
      (row) => sql`(${row.room}, ${row.viewer}, ${row.language}, ${row.privacy}, ${row.asked_ms}, ${row.expires_ms})`
    )
  )
  return sql`
    INSERT INTO call_intents (room, viewer, language, privacy, asked_ms, expires_ms)
    SELECT * FROM (VALUES ${values}) AS said WHERE column1 IN (${mine(Arr.dedupe(rows.map(({ room }) => room)))})
    ${newest}`
}

const rowOf = ({ askedMs, expiresMs, intent: { language, privacy = "any", room, viewer } }: Entry): Row => ({
  room,
  viewer: viewerKey(viewer),
  language,
  privacy,
  asked_ms: askedMs,
  expires_ms: expiresMs
})

/** The inverse of `viewerKey`. */
const viewerOf = (key: string): Option.Option<Viewer> => {
  if (key === viewerKey(Everyone)) return Option.some(Everyone)
  const session = /^participant:(.+)$/s.exec(key)?.[1]
  return Option.map(decodeSession(session), participant)
}
