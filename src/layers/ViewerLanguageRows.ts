/**
 * The table of what viewers last read in: one row for each user of Nextcloud in a room, and one for the room itself.
 */
import { Effect, Schema } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { RoomToken } from "../domain/Call.ts"
import { LanguageId } from "../domain/Language.ts"
import * as SqlDialect from "./SqlDialect.ts"

/** A choice counts for so long: a meeting held once a month finds its language again. */
export const LIFETIME_MS = 30 * 24 * 3_600_000
/** Of all rooms; beyond, those go that were chosen longest ago. A megabyte. */
export const MOST = 10_000
/** In the place of a user: chosen for everybody. No user has this name. */
export const ALL = ""

export const table = Effect.flatMap(SqlClient.SqlClient, (sql) => {
  const { milliseconds, tableEnd } = SqlDialect.of(sql)
  return sql`
    CREATE TABLE viewer_languages (
      room TEXT NOT NULL,
      "user" TEXT NOT NULL,
      language TEXT NOT NULL,
      chosen_ms ${milliseconds} NOT NULL,
      PRIMARY KEY (room, "user")
    ) ${tableEnd}`
})

export const Row = Schema.Struct({
  room: RoomToken,
  user: Schema.String,
  language: LanguageId,
  chosen_ms: Schema.Finite
})
export type Row = typeof Row.Type
export const decode = Schema.decodeUnknownOption(Row)

export const keyOf = ({ room, user }: Pick<Row, "room" | "user">): string => `${room} ${user}`

export const isOver = ({ chosen_ms }: Row, nowMs: number): boolean => nowMs - chosen_ms >= LIFETIME_MS
