/**
 * Every second, and at once when a runner has ended: calls of runners that are no more go to those that are, what is wanted and runs nowhere
 * gets a seat, and a runner with twice the work of another gives calls away.
 */
import { Effect, type Scope, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RoomToken } from "../domain/Call.ts"
import { type CallWork, spread } from "../domain/Placement.ts"
import { Incarnation, type RunnerAddress, type Seat } from "../domain/Seat.ts"
import * as CallBalance from "./CallBalance.ts"
import type * as KeptDatabase from "./KeptDatabase.ts"
import { monotonicMs } from "./Monotonic.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import type { NotSeated, Presence, RunnerEnds } from "./RunnerProtocol.ts"
import type { Unanswered } from "./RunnerReach.ts"
import * as RunnerWork from "./RunnerWork.ts"
import type { SeatKeeping } from "./SeatKeeping.ts"
import * as SeatLeaving from "./SeatLeaving.ts"
import type { SeatMap } from "./SeatMap.ts"
import type * as StoredIntents from "./StoredIntents.ts"

export interface SeatReviewOptions {
  readonly fleet: RunnerFleet.RunnerFleet
  readonly keeping: SeatKeeping
  readonly map: SeatMap
  readonly intents: StoredIntents.StoredIntents
  readonly kept: KeptDatabase.KeptDatabase
  readonly presence: () => Presence
  /** How many runners there are to be on this machine. */
  readonly ofMachine: number
}

export interface SeatReview {
  /** Gives a call of this runner to another one, which then asks for it. */
  readonly move: (room: RoomToken, to: RunnerAddress) => Effect.Effect<void, NotSeated | RunnerEnds | Unanswered>
  /** Gives all away, as far as there is somebody to take them; returns when they are gone, or soon. */
  readonly leave: Effect.Effect<void>
}

const EVERY = "1 second"
const ASK_LIMIT = "1 second"
/** The runners of one machine are there by then, if they come at all. */
const COMPLETE_AFTER_MS = 4_000

export const make = Effect.fnUntraced(function* (
  options: SeatReviewOptions
): Effect.fn.Return<SeatReview, never, Scope.Scope> {
  const { fleet, intents, keeping, kept, map, ofMachine, presence } = options
  const now = yield* monotonicMs
  /** When this runner first saw that nobody sits there. */
  const emptySinceMs = new Map<RoomToken, number>()
  const beganMs = now()
  let balance = CallBalance.make(now)

  const move: SeatReview["move"] = (room, to) =>
    Effect.suspend(() => {
      const offer = keeping.offer(room)
      if (offer === undefined) return Effect.void
      const { seat: known, ...wishes } = offer
      return fleet.ask(to, (client) => client.Take({ vacancy: { room, known, isAlive: true }, ...wishes }), ASK_LIMIT)
    })

  const ends = (runner: RunnerFleet.Runner) =>
    fleet
      .ask(runner.address, (client) => client.Presence(), ASK_LIMIT)
      .pipe(
        Effect.map(({ isEnding }) => isEnding),
        Effect.catch(() => fleet.hasEnded(runner))
      )
  const addressOf = (incarnation: Incarnation) => map.runners().find((one) => one.incarnation === incarnation)?.address
  /** The others of this machine, while they still start: their share of the calls waits for them. */
  const expected = () =>
    Array.from(
      { length: now() - beganMs < COMPLETE_AFTER_MS ? Math.max(0, ofMachine - map.runners().length) : 0 },
      (_, n) => ({ incarnation: Incarnation.make(`expected-${n}`), work: 0 })
    )
  /** Of all that see the same the one that acts at once; the others follow if it does not. */
  const isFirst = () => map.runners().every(({ incarnation }) => fleet.me.incarnation <= incarnation)

  const seat = (room: RoomToken, known: Seat | undefined, to: Incarnation) =>
    Effect.gen(function* () {
      const vacancy = { room, ...(known === undefined ? {} : { known }), isAlive: false }
      map.placed(room, to, RunnerWork.EXPECTED)
      if (to === fleet.me.incarnation) {
        if (yield* keeping.take(vacancy)) keeping.run(room)
        return
      }
      const address = addressOf(to)
      if (address === undefined) return
      yield* fleet.ask(address, (client) => client.Take({ vacancy, intents: [] }), ASK_LIMIT)
    }).pipe(Effect.ignore)

  const fill = Effect.fnUntraced(function* (seats: ReadonlyArray<Seat>): Effect.fn.Return<void, SqlError> {
    const ended = new Set<Incarnation>()
    for (const [incarnation, one] of new Map(seats.map((any) => [any.incarnation, any]))) {
      if (yield* fleet.hasEnded(one)) ended.add(incarnation)
      else if (incarnation !== fleet.me.incarnation && fleet.isLeading() && (yield* fleet.isGivenUp(one))) {
        ended.add(incarnation)
      }
    }
    const empty = new Map<RoomToken, Seat | undefined>(
      seats.filter(({ incarnation }) => ended.has(incarnation)).map((known) => [known.room, known])
    )
    if (fleet.isLeading()) {
      const seated = new Set([...seats.map(({ room }) => room), ...keeping.rooms()])
      for (const room of yield* intents.wanted) if (!seated.has(room)) empty.set(room, undefined)
    }
    for (const room of [...emptySinceMs.keys()]) if (!empty.has(room)) emptySinceMs.delete(room)
    for (const room of empty.keys()) if (!emptySinceMs.has(room)) emptySinceMs.set(room, now())
    const calls = [...empty.keys()]
      .filter((room) => isFirst() || fleet.isLeading() || now() - (emptySinceMs.get(room) ?? now()) >= 1000)
      .map((room): CallWork => ({ room, work: RunnerWork.EXPECTED }))
    const places = spread(calls, [...map.runners(), ...expected()]).filter(({ to }) => addressOf(to) !== undefined)
    yield* Effect.forEach(places, ({ room, to }) => seat(room, empty.get(room), to), {
      concurrency: 16,
      discard: true
    })
  })

  const even = Effect.fnUntraced(function* () {
    if (!fleet.isLeading()) {
      balance = CallBalance.make(now)
      return
    }
    const all = [{ ...fleet.me, presence: presence() }, ...fleet.peers()].filter((one) => !one.presence.isEnding)
    const calls = all.flatMap(({ incarnation: runner, presence: { calls: run } }) =>
      run.map((call) => ({ ...call, runner }))
    )
    const said = all.map(({ incarnation, presence: { work } }) => ({ incarnation, work }))
    for (const { from, room, to, work } of balance.review(calls, said)) {
      const [giver, taker] = [addressOf(from), addressOf(to)]
      if (giver === undefined || taker === undefined) continue
      map.placed(room, to, work)
      yield* Effect.logInfo("a call moves to a runner with less to do", { room })
      yield* Effect.ignore(
        from === fleet.me.incarnation
          ? move(room, taker)
          : fleet.ask(giver, (client) => client.Move({ room, to: taker }), ASK_LIMIT)
      )
    }
  })

  const review = Effect.gen(function* () {
    if (kept.state()._tag !== "Open") return
    const seats = yield* Effect.timeout(map.readAll, "2 seconds")
    yield* keeping.review(seats)
    if (!presence().isEnding) yield* fill(seats)
    yield* even()
  }).pipe(Effect.ignore)
  const reviews = Stream.merge(Stream.tick(EVERY), fleet.ended)
  yield* Stream.runForEach(reviews, () => review).pipe(Effect.forkScoped)

  return {
    move,
    leave: Effect.suspend(() =>
      SeatLeaving.leave({
        calls: presence().calls,
        others: map.runners().filter(({ incarnation }) => incarnation !== fleet.me.incarnation),
        offer: move,
        isHere: (room) => keeping.rooms().includes(room),
        ends
      })
    )
  }
})
