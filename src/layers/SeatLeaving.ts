/**
 * The calls of a runner that ends: each is offered to another one, and again for as long as it is still here, until all are gone or all the
 * others end, too.
 */
import { Effect, Schedule } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import { type CallWork, type RunnerWork, spread } from "../domain/Placement.ts"
import type { Incarnation, RunnerAddress } from "../domain/Seat.ts"

interface Taker extends RunnerWork {
  readonly address: RunnerAddress
}

export interface LeavingOptions {
  readonly calls: ReadonlyArray<CallWork>
  readonly others: ReadonlyArray<Taker>
  /** To one of the others; may be repeated. It has begun to take the call when this returns, and may give it up without a word. */
  readonly offer: (room: RoomToken, to: RunnerAddress) => Effect.Effect<unknown, unknown>
  readonly isHere: (room: RoomToken) => boolean
  /** Whether this one ends, too, or has. */
  readonly ends: (runner: Taker) => Effect.Effect<boolean>
}

/** Of the three seconds that a runner has for its last words. */
const LIMIT = "2500 millis"
/** About as long as a hand-over takes. */
const OFFER_AGAIN = "500 millis"
/** How often the others are asked whether they end, too. */
const ASK_ENDING_EVERY = "100 millis"
const LOOK = "20 millis"
const AT_ONCE = 16
const NOT_TAKEN = "Not all calls of this runner were taken in time by others: they end."

/** Returns when all are gone, or soon: after 2.5 s at the latest, which is said in the log. */
export const leave = ({ calls, ends, isHere, offer, others }: LeavingOptions): Effect.Effect<void> => {
  const takers = new Map<RoomToken, Taker>()
  const ended = new Set<Incarnation>()
  const left = () => calls.filter(({ room }) => isHere(room))
  /** Who was asked once stays the one who is asked, unless it ends: never two at a time take a call. */
  const place = () => {
    const unplaced = left().filter(({ room }) => {
      const taker = takers.get(room)
      return taker === undefined || ended.has(taker.incarnation)
    })
    const willing = others.filter(({ incarnation }) => !ended.has(incarnation))
    for (const { room, to } of spread(unplaced, willing)) {
      const taker = willing.find(({ incarnation }) => incarnation === to)
      if (taker !== undefined) takers.set(room, taker)
    }
    return left().flatMap(({ room }) => {
      const taker = takers.get(room)
      return taker === undefined ? [] : [{ room, taker }]
    })
  }
  // An answer may be lost on its way, and whoever takes a call stays out of it where it is not given at once: nobody else would take it up.
  const offered = Effect.sync(place).pipe(
    Effect.flatMap((all) =>
      Effect.forEach(all, ({ room, taker }) => Effect.ignore(offer(room, taker.address)), { concurrency: AT_ONCE })
    ),
    Effect.repeat(Schedule.spaced(OFFER_AGAIN))
  )
  const areGone = Effect.sync(() => left().length === 0).pipe(
    Effect.repeat({ until: (are) => are, schedule: Schedule.spaced(LOOK) })
  )
  // Whoever was told to end a moment after us has said that it takes them, and does not.
  const allEnd = Effect.forEach(
    others,
    (one) =>
      ends(one).pipe(
        Effect.repeat({ until: (does) => does, schedule: Schedule.spaced(ASK_ENDING_EVERY) }),
        Effect.andThen(Effect.sync(() => ended.add(one.incarnation)))
      ),
    { concurrency: "unbounded" }
  )
  return Effect.raceAllFirst([areGone, allEnd, offered]).pipe(
    Effect.timeoutOrElse({ duration: LIMIT, orElse: () => Effect.logWarning(NOT_TAKEN) }),
    Effect.asVoid
  )
}
