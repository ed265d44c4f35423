/**
 * The calls that this runner has a seat for: taken, run, given away, left. Who has a seat runs the call, and nobody else does.
 */
import { Clock, Effect, FiberSet, Option, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Intent, RoomToken } from "../domain/Call.ts"
import { nextEpoch, outranks, type Seat } from "../domain/Seat.ts"
import * as CallKeeping from "./CallKeeping.ts"
import type { CallParts } from "./CallPart.ts"
import * as CallSeat from "./CallSeat.ts"
import * as HeldSeat from "./HeldSeat.ts"
import type * as KeptDatabase from "./KeptDatabase.ts"
import { monotonicMs } from "./Monotonic.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import { type Given, NotGiven, NotSeated, type Vacancy } from "./RunnerProtocol.ts"
import * as SeatGiver from "./SeatGiver.ts"
import type * as Seats from "./Seats.ts"
import { viewerOf, type Wishes, wishesIn, wordsOf } from "./SeatWishes.ts"
import type * as StoredIntents from "./StoredIntents.ts"
import type * as TalkCall from "./TalkCall.ts"

export interface SeatKeeping {
  /** The calls themselves; only for rooms that have a seat here. */
  readonly calls: CallKeeping.CallKeeping["calls"]
  /** Whether clicks for this room are this runner's: not while it is being taken or given away. */
  readonly has: (room: RoomToken) => boolean
  /** Every room that is run here, or about to be, or was until a moment ago. */
  readonly rooms: () => ReadonlyArray<RoomToken>
  /** Whether the room changes hands. */
  readonly isMoving: (room: RoomToken) => boolean
  /**
   * Takes a room; whether it is ours, and then it is to be `run`, also where nobody wants it. Of one that is alive only the beginning is
   * waited for: it is ours when its runner has given it.
   */
  readonly take: (vacancy: Vacancy, given?: Wishes) => Effect.Effect<boolean>
  /** Runs what is wanted of a room that has a seat here, and gives the seat back when nobody wants it. */
  readonly run: (room: RoomToken) => void
  /** The seat and what goes with it, for whoever is to take it. */
  readonly offer: (room: RoomToken) => (Wishes & { readonly seat: Seat }) | undefined
  readonly give: (room: RoomToken, epoch: number) => Effect.Effect<Given, NotGiven | NotSeated>
  /** Makes what runs here what the database says, and the other way round where nobody outranks us. */
  readonly review: (seats: ReadonlyArray<Seat>) => Effect.Effect<void>
}

export interface SeatKeepingOptions {
  readonly calls: Partial<TalkCall.TalkCallOptions>
  readonly fleet: RunnerFleet.RunnerFleet
  readonly seats: Seats.Seats
  readonly intents: StoredIntents.StoredIntents
  readonly kept: KeptDatabase.KeptDatabase
  readonly parts: CallParts
  /** Wishes that another runner, who has the room by now, does not find in the database. */
  readonly forward: (intents: ReadonlyArray<Intent>) => void
  readonly isEnding: () => boolean
}

/** A database that takes longer does not hold up a call: Talk's patience is three seconds. */
const DATABASE_LIMIT = "700 millis"
const WRITTEN_LIMIT = "2 seconds"
/** Within `HAND_OVER_MS`, with what comes before and after. */
const GIVE_LIMIT = "3 seconds"

export const make = Effect.fnUntraced(function* (
  options: SeatKeepingOptions
): Effect.fn.Return<SeatKeeping, never, Scope.Scope | TalkCall.Dependencies> {
  const { fleet, forward, intents, isEnding, kept, parts, seats } = options
  const clock = yield* Clock.Clock
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const held = new Map<RoomToken, HeldSeat.HeldSeat>()
  const isGiven = ({ givenMs }: HeldSeat.HeldSeat) => givenMs !== undefined && now() - givenMs < CallSeat.HAND_OVER_MS
  const isOpen = () => kept.state()._tag === "Open"

  const keeping = yield* CallKeeping.make(options.calls, {
    parts,
    // Whoever adds the first wish runs the room: see `run`.
    wake: () => {},
    record: (intent, isWanted) => {
      intents.record(intent, isWanted)
      kept.wantWrite()
    },
    heardByOthers: () => fleet.peers().reduce((sum, { presence }) => sum + presence.speakers, 0),
    seatOf: (room) => {
      const mine = held.get(room)
      return mine === undefined ? undefined : seatOf(mine)
    }
  })

  const drop = (mine: HeldSeat.HeldSeat) => {
    const { room } = mine.seat
    if (held.get(room) !== mine) return
    held.delete(room)
    const unsaid = intents.release(room)
    if (unsaid.length > 0) forward(unsaid)
  }

  const seatOf = (mine: HeldSeat.HeldSeat): CallSeat.CallSeat => ({
    rank: mine.seat,
    ...(mine.before === undefined ? {} : { before: mine.before.incarnation }),
    onOutranked: () => {
      keeping.abandon(mine.seat.room)
      drop(mine)
    },
    onRunning: (running) => {
      mine.running = running
    },
    isGoing: () => isEnding() || now() < mine.goesUntilMs,
    ...(mine.takenFrom === undefined ? {} : { takeOver: { ask: ask(mine, mine.takenFrom) } })
  })

  /** Whether the database gave it to us, or could not be asked. */
  const claim = (mine: HeldSeat.HeldSeat, known: number | undefined): Effect.Effect<boolean> =>
    Effect.suspend(() =>
      isOpen() ? Effect.option(Effect.timeout(seats.claim(mine.seat, known), DATABASE_LIMIT)) : Effect.succeedNone
    ).pipe(Effect.map(Option.getOrElse(() => true)))
  const load = (room: RoomToken) =>
    Effect.suspend(() => (isOpen() ? intents.loadRoom(room) : Effect.succeed([]))).pipe(
      Effect.timeoutOrElse({ duration: DATABASE_LIMIT, orElse: () => Effect.succeed([]) }),
      Effect.orElseSucceed((): ReadonlyArray<Intent> => [])
    )

  const ask = (mine: HeldSeat.HeldSeat, from: Seat): Effect.Effect<CallSeat.Answer> =>
    Effect.gen(function* () {
      // It is better off where it is, even if that one ends, too.
      if (isEnding()) return stays(mine)
      const { room } = mine.seat
      const given = yield* fleet.ask(from.address, (client) => client.Give({ room, epoch: from.epoch }), GIVE_LIMIT)
      if (!(yield* claim(mine, from.epoch))) return stays(mine)
      const found = yield* load(room)
      keeping.restore(found, given.iceServers)
      const known = new Set((keeping.wishes(room)?.list() ?? []).map(wordsOf))
      const [stored, wanted] = [new Set(found.map(wordsOf)), new Set(given.intents.map(viewerOf))]
      // What the other one could not write any more, or was asked meanwhile.
      for (const intent of given.intents) {
        if (!stored.has(wordsOf(intent)) || !known.has(wordsOf(intent))) yield* keeping.calls.start(intent)
      }
      for (const intent of keeping.wishes(room)?.list() ?? []) {
        if (!wanted.has(viewerOf(intent))) yield* keeping.calls.stop(room, intent.viewer)
      }
      HeldSeat.become(mine)
      return { _tag: "Given", left: given.left } as const
    }).pipe(
      Effect.catch((refused) =>
        Effect.gen(function* () {
          const isGone = refused._tag === "Unanswered" && (yield* SeatGiver.isGone(fleet, from))
          if (!isGone || !(yield* claim(mine, from.epoch))) return stays(mine)
          keeping.restore(yield* load(mine.seat.room))
          HeldSeat.become(mine)
          return { _tag: "Gone" } as const
        })
      )
    )
  const stays = (mine: HeldSeat.HeldSeat): CallSeat.Answer => {
    keeping.abandon(mine.seat.room)
    drop(mine)
    return { _tag: "Stays" }
  }

  /** Until nobody wants the room any more; then the seat is given back, when the database knows that nobody does. */
  const runAndVacate = (mine: HeldSeat.HeldSeat): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { room } = mine.seat
      yield* keeping.run(room)
      if (held.get(room) !== mine) return
      const isWritten = yield* Effect.timeoutOption(intents.written, WRITTEN_LIMIT)
      if (held.get(room) !== mine) return
      if (keeping.wishes(room) !== undefined) return yield* runAndVacate(mine)
      mine.isRun = false
      // Otherwise the next review finds a seat that nobody sits in.
      held.delete(room)
      if (isWritten._tag === "None" || !isOpen()) return
      intents.release(room)
      yield* Effect.ignore(Effect.timeoutOption(seats.vacate(mine.seat), WRITTEN_LIMIT))
    })
  const run = (room: RoomToken) => {
    const mine = held.get(room)
    if (mine === undefined || mine.isRun) return
    mine.isRun = true
    fork(runAndVacate(mine))
  }

  const hold = (room: RoomToken, known: Seat | undefined, isAlive: boolean): HeldSeat.HeldSeat => {
    const epoch = nextEpoch(clock.currentTimeMillisUnsafe(), known?.epoch)
    const mine = HeldSeat.make({ room, part: 0, ...fleet.me, epoch }, known, isAlive)
    held.set(room, mine)
    return mine
  }

  // Whoever asks may stop waiting: a seat that nobody claims or runs would keep everybody else from the room.
  const take: SeatKeeping["take"] = Effect.fnUntraced(function* ({ isAlive, known, room }, wishes) {
    const taken = held.get(room)
    // Whoever offers it may do so again.
    if (taken !== undefined) return taken.isOurs || (isAlive && taken.takenFrom?.epoch === known?.epoch)
    const mine = hold(room, known, isAlive)
    if (isAlive) {
      keeping.restore(wishes?.intents ?? [], wishes?.iceServers)
      return true
    }
    if (!(yield* claim(mine, known?.epoch))) {
      drop(mine)
      return false
    }
    keeping.restore(yield* load(room))
    HeldSeat.become(mine)
    return true
  }, Effect.uninterruptible)

  const wishesOf = (room: RoomToken): Wishes => wishesIn(keeping.wishes(room))

  const give: SeatKeeping["give"] = Effect.fnUntraced(function* (room, epoch) {
    const mine = held.get(room)
    if (mine === undefined || !mine.isOurs || mine.seat.epoch !== epoch) return yield* new NotSeated()
    // One that nobody wants any more ends here, and would not there.
    if (mine.running === undefined || wishesOf(room).intents.length === 0) return yield* new NotGiven()
    const before = mine.givenMs
    // What is wanted does not change from here on: who clicks now is heard by whoever has the call then.
    mine.givenMs ??= now()
    const left = yield* mine.running.handOver.pipe(
      Effect.mapError(() => new NotGiven()),
      Effect.onError(() =>
        Effect.sync(() => {
          mine.givenMs = before
        })
      )
    )
    mine.givenMs = before ?? now()
    return { left, ...wishesOf(room) }
  })

  /** Whether the seat of a call that is run here is ours, as the database has it. */
  const isOurs = Effect.fnUntraced(function* (
    mine: HeldSeat.HeldSeat,
    row: Seat | undefined
  ): Effect.fn.Return<boolean, SqlError> {
    if (row === undefined) return yield* claim(mine, undefined)
    if (row.incarnation === fleet.me.incarnation && row.epoch === mine.seat.epoch) return true
    if (!outranks(row, mine.seat)) return yield* seats.assert(mine.seat)
    if (!(yield* fleet.hasEnded(row))) return false
    mine.seat = { ...mine.seat, epoch: nextEpoch(clock.currentTimeMillisUnsafe(), row.epoch) }
    return yield* claim(mine, row.epoch)
  })

  const review = Effect.fnUntraced(function* (all: ReadonlyArray<Seat>): Effect.fn.Return<void, SqlError> {
    const rows = new Map(all.map((seat) => [seat.room, seat]))
    for (const mine of [...held.values()]) {
      const { epoch, room } = mine.seat
      const read = rows.get(room)
      if (!mine.isOurs || !mine.isRun || isGiven(mine)) continue
      if (read?.epoch === epoch && read.incarnation === fleet.me.incarnation) continue
      // It may have changed since it was read.
      if (yield* isOurs(mine, yield* seats.of(room))) {
        // What is wanted of a room is written only by who has its seat.
        kept.wantWrite()
        continue
      }
      yield* Effect.logWarning("another runner has the call, it is left here", { room })
      const leaving = keeping.leave(room)
      drop(mine)
      fork(leaving)
    }
    for (const { incarnation, room } of all) {
      if (incarnation !== fleet.me.incarnation || held.has(room)) continue
      const row = yield* seats.of(room)
      if (row?.incarnation !== incarnation || held.has(room)) continue
      if (yield* take({ room, known: row, isAlive: false })) run(room)
    }
  })

  return {
    calls: {
      ...keeping.calls,
      // Until it is ours whoever has it shows it.
      list: Effect.map(keeping.calls.list, (all) => all.filter(({ room }) => held.get(room)?.takenFrom === undefined))
    },
    has: (room) => {
      const mine = held.get(room)
      return mine?.isOurs === true && !isGiven(mine)
    },
    rooms: () => [...held.keys()],
    isMoving: (room) => {
      const mine = held.get(room)
      return mine !== undefined && (!mine.isOurs || isGiven(mine))
    },
    take,
    run,
    offer: (room) => {
      const mine = held.get(room)
      if (mine === undefined || keeping.wishes(room) === undefined || !mine.isOurs || isGiven(mine)) return undefined
      mine.goesUntilMs = now() + CallSeat.HAND_OVER_MS
      return { seat: mine.seat, ...wishesOf(room) }
    },
    give,
    // What the database does not answer now it answers in a second.
    review: (all) => Effect.ignore(review(all))
  }
})
