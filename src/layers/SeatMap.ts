/**
 * Where calls run, as far as this runner knows: what it has read of the seats lately, and what it has just handed out itself.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RoomToken } from "../domain/Call.ts"
import { leastBusy, type RunnerWork } from "../domain/Placement.ts"
import type { Incarnation, Seat } from "../domain/Seat.ts"
import { monotonicMs } from "./Monotonic.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import type { Presence } from "./RunnerProtocol.ts"
import type * as Seats from "./Seats.ts"

export interface SeatMap {
  /** What was read last. */
  readonly all: () => ReadonlyArray<Seat>
  readonly of: (room: RoomToken) => Seat | undefined
  /** Who says to run it: where nothing can be read. */
  readonly told: (room: RoomToken) => Seat | undefined
  readonly readAll: Effect.Effect<ReadonlyArray<Seat>, SqlError>
  readonly read: (room: RoomToken) => Effect.Effect<Seat | undefined, SqlError>
  /** What was read of this room is not so any more. */
  readonly forget: (room: RoomToken) => void
  /** The runners that take calls, this one included unless it ends, and what they have to do. */
  readonly runners: () => ReadonlyArray<RunnerFleet.Runner & RunnerWork>
  /** Who a call should go to; counts it there until that runner says so itself. */
  readonly place: (room: RoomToken, work: number) => RunnerFleet.Runner | undefined
  readonly placed: (room: RoomToken, at: Incarnation, work: number) => void
}

/** A runner that was given a call says so within this time. */
const GIVEN_MS = 3_000

export const make = Effect.fnUntraced(function* (
  seats: Seats.Seats,
  fleet: RunnerFleet.RunnerFleet,
  presence: () => Presence
): Effect.fn.Return<SeatMap> {
  const now = yield* monotonicMs
  let known = new Map<RoomToken, Seat>()
  const given = new Map<RoomToken, { readonly at: Incarnation; readonly work: number; readonly sinceMs: number }>()

  const runners = () => {
    for (const [room, { sinceMs }] of given) if (now() - sinceMs > GIVEN_MS) given.delete(room)
    const all = [{ ...fleet.me, presence: presence() }, ...fleet.peers()]
    return all.flatMap(({ address, incarnation, presence: said }) => {
      const rooms = new Set(said.calls.map(({ room }) => room))
      const coming = [...given].filter(([room, { at }]) => at === incarnation && !rooms.has(room))
      const work = coming.reduce((sum, [, more]) => sum + more.work, said.work)
      return said.isEnding ? [] : [{ address, incarnation, work }]
    })
  }
  const placed: SeatMap["placed"] = (room, at, work) => {
    given.set(room, { at, work, sinceMs: now() })
  }
  return {
    all: () => [...known.values()],
    of: (room) => known.get(room),
    told: (room) => {
      const peer = fleet.peers().find(({ presence: { calls } }) => calls.some((call) => call.room === room))
      // Any epoch that was read is above that.
      return peer && { room, part: 0, address: peer.address, incarnation: peer.incarnation, epoch: 0 }
    },
    readAll: Effect.map(seats.all, (all) => {
      known = new Map(all.map((seat) => [seat.room, seat]))
      return all
    }),
    read: (room) =>
      Effect.map(seats.of(room), (seat) => {
        if (seat === undefined) known.delete(room)
        else known.set(room, seat)
        return seat
      }),
    forget: (room) => {
      known.delete(room)
    },
    runners,
    place: (room, work) => {
      const all = runners()
      const at = leastBusy(all)
      if (at !== undefined) placed(room, at, work)
      return all.find(({ incarnation }) => incarnation === at)
    },
    placed
  }
})
