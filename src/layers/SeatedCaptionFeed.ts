/**
 * CaptionFeed of calls wherever they run: read here where the call runs here, from its runner where it does not, and on from the next one
 * when it moves.
 */
import { Cause, Effect, Option, Result, Schedule, Schema, type Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"
import { isFinal } from "../domain/Segment.ts"
import type { CaptionFeed, NoSuchCall, ReaderBehind } from "../services/CaptionFeed.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import type { SeatMap } from "./SeatMap.ts"

/** The runner has ended, or the call has moved. */
class BrokenOff extends Schema.TaggedError<BrokenOff>()("BrokenOff", {}) {}

/** So long a reader waits for the next runner of a call that has broken off. */
const NEXT_WITHIN = "6 seconds"
const NEXT_EVERY = "100 millis"
/** A runner begins with the last finals: so many that a reader has had are remembered. */
const REMEMBERED = 200

type Captions = Stream.Stream<Caption, ReaderBehind | BrokenOff>

export const make = (
  here: CaptionFeed["Service"],
  fleet: RunnerFleet.RunnerFleet,
  map: Pick<SeatMap, "of" | "read">
): CaptionFeed["Service"] => {
  const read = (room: RoomToken) => Effect.orElseSucceed(map.read(room), () => map.of(room))
  const open = Effect.fnUntraced(function* (room: RoomToken): Effect.fn.Return<Captions, NoSuchCall, Scope.Scope> {
    const own = yield* Effect.result(here.subscribe(room))
    if (Result.isSuccess(own)) return own.success
    const seat = map.of(room) ?? (yield* read(room))
    if (seat === undefined || seat.incarnation === fleet.me.incarnation) return yield* own.failure
    if (yield* fleet.hasEnded(seat)) return yield* own.failure
    const client = yield* fleet.reach(seat.address)
    // A runner that ends breaks its streams off in more than one way.
    return client.Captions({ room }).pipe(
      Stream.catchCause((cause) => {
        const error = Option.getOrUndefined(Cause.findErrorOption(cause))
        return Stream.fail(error?._tag === "ReaderBehind" ? error : new BrokenOff())
      })
    )
  })
  /** Where it goes on; none where nobody has the room any more. */
  const next = (room: RoomToken): Effect.Effect<Option.Option<Captions>, never, Scope.Scope> =>
    Effect.suspend(() => read(room)).pipe(
      Effect.flatMap((seat) => (seat === undefined ? Effect.succeedNone : Effect.asSome(open(room)))),
      Effect.retry(Schedule.spaced(NEXT_EVERY)),
      Effect.timeoutOption(NEXT_WITHIN),
      Effect.map(Option.flatten),
      Effect.orElseSucceed(() => Option.none())
    )
  const follow = (room: RoomToken, first: Captions): Stream.Stream<Caption, ReaderBehind> => {
    const had = new Set<string>()
    const isNew = (caption: Caption) => !had.has(keyOf(caption))
    const remember = (caption: Caption) => {
      if (!isFinal(caption.segment)) return
      had.add(keyOf(caption))
      for (const oldest of had) {
        if (had.size <= REMEMBERED) return
        had.delete(oldest)
      }
    }
    const part = (captions: Captions): Stream.Stream<Caption, ReaderBehind> =>
      captions.pipe(
        Stream.catchTag("BrokenOff", () => Stream.empty),
        Stream.filter(isNew),
        Stream.tap((caption) => Effect.sync(() => remember(caption))),
        Stream.concat(Stream.unwrap(Effect.map(next(room), Option.match({ onNone: () => Stream.empty, onSome: part }))))
      )
    return part(first)
  }
  return { subscribe: (room) => Effect.map(open(room), (first) => follow(room, first)) }
}

const keyOf = ({ segment, speaker }: Caption): string => `${speaker} ${segment.id}`
