import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RoomToken } from "../../src/domain/Call.ts"
import { Incarnation, nextEpoch, outranks, RunnerAddress, type Seat } from "../../src/domain/Seat.ts"
import * as Database from "../../src/layers/Database.ts"
import * as Seats from "../../src/layers/Seats.ts"
import { postgres } from "../support/Postgres.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const room = RoomToken.make("room1")
const seatOf = (runner: string, epoch: number): Seat => ({
  room,
  part: 0,
  address: RunnerAddress.make(`${runner}.example:1`),
  incarnation: Incarnation.make(runner),
  epoch
})

const file = Effect.map(
  temporaryFolder,
  (folder): Database.DatabasePlace => ({ _tag: "File", file: join(folder, "seats.sqlite"), isShared: true })
)
const server = Effect.map(postgres, ({ url }): Database.DatabasePlace => ({ _tag: "Server", url }))
const openedIn = Effect.fnUntraced(function* (place: Database.DatabasePlace) {
  const database = yield* Database.make(place)
  yield* database.open
  yield* database.migrate([{ table: "call_seats_migrations", loader: Seats.migrations }])
  return Seats.make(database.sql)
})
const opened = Effect.flatMap(file, openedIn)

/** Several runners, each with a connection of its own. */
const race = Effect.fnUntraced(function* (place: Database.DatabasePlace) {
  const runners = yield* Effect.forEach(
    Array.from({ length: 4 }, (_, n) => n),
    (n) => Effect.map(openedIn(place), (seats) => ({ seats, seat: seatOf(`runner${n}`, 1000 + n) })),
    { concurrency: "unbounded" }
  )
  const claims = (known?: number) =>
    Effect.forEach(runners, ({ seat, seats }) => seats.claim({ ...seat, epoch: seat.epoch + (known ?? 0) }, known), {
      concurrency: "unbounded"
    })
  const first = yield* claims()
  assert.strictEqual(first.filter((isWon) => isWon).length, 1)
  const known = 1000 + first.indexOf(true)
  const second = yield* claims(known)
  assert.strictEqual(second.filter((isWon) => isWon).length, 1)
  const [winner] = runners.filter((_, n) => second[n])
  assert(winner !== undefined)
  assert.deepStrictEqual(yield* winner.seats.of(room), { ...winner.seat, epoch: winner.seat.epoch + known })
})

describe("Seats", () => {
  it.live("has one winner of several processes, in a file", () => Effect.flatMap(file, race))
  it.live("has one winner of several processes, in PostgreSQL", () => Effect.flatMap(server, race))

  it.effect("has one winner of all who claim a room that nobody has", () =>
    Effect.gen(function* () {
      const seats = yield* opened
      const runners = Array.from({ length: 20 }, (_, n) => seatOf(`runner${n}`, 1000 + n))
      const won = yield* Effect.forEach(runners, (seat) => seats.claim(seat), { concurrency: "unbounded" })
      assert.strictEqual(won.filter((isWon) => isWon).length, 1)
      assert.deepStrictEqual(yield* seats.of(room), runners[won.indexOf(true)])
    })
  )

  it.effect("has one winner of all who take over what they know", () =>
    Effect.gen(function* () {
      const seats = yield* opened
      yield* seats.claim(seatOf("dead", 1000))
      const runners = Array.from({ length: 20 }, (_, n) => seatOf(`runner${n}`, 2000 + n))
      const won = yield* Effect.forEach(runners, (seat) => seats.claim(seat, 1000), { concurrency: "unbounded" })
      assert.strictEqual(won.filter((isWon) => isWon).length, 1)
      assert.isFalse(yield* seats.claim(seatOf("late", 3000), 1000))
      const [winner, ...others] = yield* seats.all
      assert.deepStrictEqual([winner, others], [runners[won.indexOf(true)], []])
    })
  )

  it.effect("gives a seat again to who has it: an answer may have been lost", () =>
    Effect.gen(function* () {
      const seats = yield* opened
      assert.isTrue(yield* seats.claim(seatOf("a", 1000)))
      assert.isTrue(yield* seats.claim(seatOf("a", 1000)))
      assert.isFalse(yield* seats.claim(seatOf("a", 2000)))
    })
  )

  it.effect("is vacated by who has it, and by nobody else", () =>
    Effect.gen(function* () {
      const seats = yield* opened
      yield* seats.claim(seatOf("a", 1000))
      yield* seats.claim(seatOf("b", 2000), 1000)
      yield* seats.vacate(seatOf("a", 1000))
      assert.deepStrictEqual(yield* seats.of(room), seatOf("b", 2000))
      yield* seats.vacate(seatOf("b", 2000))
      assert.isUndefined(yield* seats.of(room))
      assert.isTrue(yield* seats.claim(seatOf("c", 3000), 2000))
    })
  )

  it.effect("goes to the higher rank of two calls that began without a database, as in the room", () =>
    Effect.gen(function* () {
      const seats = yield* opened
      const ranked = [seatOf("a", 1000), seatOf("b", 1000), seatOf("c", 999), seatOf("a", 1001)]
      for (const one of ranked) {
        for (const other of ranked.filter((seat) => seat !== one)) {
          yield* seats.assert(one)
          assert.strictEqual(yield* seats.assert(other), outranks(other, one))
          yield* seats.vacate(one)
          yield* seats.vacate(other)
        }
      }
    })
  )
})

describe("nextEpoch", () => {
  it("grows, and is never below the clock", () => {
    assert.strictEqual(nextEpoch(5000.7), 5000)
    assert.strictEqual(nextEpoch(5000, 4000), 5000)
    assert.strictEqual(nextEpoch(5000, 6000), 6001)
  })
})
