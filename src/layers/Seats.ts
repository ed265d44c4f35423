/**
 * Seats in a database that all runners share: one row for each call that runs. A runner claims for itself, and for nobody else, with one
 * conditional statement; of two that claim at a time one has it.
 */
import { Effect, Option, Schema } from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import { RoomToken } from "../domain/Call.ts"
import { Incarnation, RunnerAddress, type Seat } from "../domain/Seat.ts"
import * as SqlDialect from "./SqlDialect.ts"
import { unwaited } from "./Unwaited.ts"

/** Nobody who has waited long enough for an answer waits any longer: see `unwaited`. */
export interface Seats {
  readonly all: Effect.Effect<ReadonlyArray<Seat>, SqlError>
  readonly of: (room: RoomToken) => Effect.Effect<Seat | undefined, SqlError>
  /**
   * Takes a seat that nobody has, or, where `known` is given, one that still has this epoch; whether it is ours. Once more for a seat that is
   * ours already: it is.
   */
  readonly claim: (seat: Seat, known?: number) => Effect.Effect<boolean, SqlError>
  /** Takes it from everybody whom it outranks: for a call that began while there was no database. */
  readonly assert: (seat: Seat) => Effect.Effect<boolean, SqlError>
  /** Gives it back; nothing where it is another's by now. */
  readonly vacate: (seat: Seat) => Effect.Effect<void, SqlError>
}

export const migrations: Migrator.Loader = Migrator.fromRecord({
  "0001_call_seats": Effect.flatMap(SqlClient.SqlClient, (sql) => {
    const { milliseconds } = SqlDialect.of(sql)
    return sql`
      CREATE TABLE call_seats (
        room TEXT NOT NULL,
        part INTEGER NOT NULL,
        address TEXT NOT NULL,
        incarnation TEXT NOT NULL,
        epoch ${milliseconds} NOT NULL,
        PRIMARY KEY (room, part)
      )`
  })
})

const Row = Schema.Struct({
  room: RoomToken,
  part: Schema.Int,
  address: RunnerAddress,
  incarnation: Incarnation,
  epoch: Schema.Finite
})
const decode = Schema.decodeUnknownOption(Row)

export const make = (sql: SqlClient.SqlClient): Seats => {
  const read = (rows: ReadonlyArray<unknown>) => rows.flatMap((row) => Option.toArray(decode(row)))
  const take = ({ address, epoch, incarnation, part, room }: Seat, isFree: Statement.Fragment) =>
    sql`
      INSERT INTO call_seats ${sql.insert({ room, part, address, incarnation, epoch })}
      ON CONFLICT (room, part) DO UPDATE
        SET address = excluded.address, incarnation = excluded.incarnation, epoch = excluded.epoch
        WHERE ${isFree} OR (call_seats.epoch = ${epoch} AND call_seats.incarnation = ${incarnation})
      RETURNING epoch`.pipe(
      Effect.map((rows) => rows.length > 0),
      unwaited
    )
  return {
    all: Effect.map(unwaited(sql`SELECT * FROM call_seats ORDER BY room, part`), read),
    of: (room) =>
      Effect.map(unwaited(sql`SELECT * FROM call_seats WHERE room = ${room} AND part = 0`), (rows) => read(rows)[0]),
    claim: (seat, known = -1) => take(seat, sql`call_seats.epoch = ${known}`),
    assert: (seat) =>
      take(
        seat,
        sql`call_seats.epoch < ${seat.epoch} OR (call_seats.epoch = ${seat.epoch} AND call_seats.incarnation < ${seat.incarnation})`
      ),
    vacate: ({ epoch, incarnation, part, room }) =>
      Effect.asVoid(
        sql`
        DELETE FROM call_seats
        WHERE room = ${room} AND part = ${part} AND epoch = ${epoch} AND incarnation = ${incarnation}`.pipe(unwaited)
      )
  }
}
