/**
 * The fence of one room at work: its messages over whichever socket there is, its round trips, its clock. `SpreedFence` has the rules.
 */
import { Effect, Latch, type Redacted, Schedule, type Scope } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Roster } from "../domain/Roster.ts"
import type { Rank } from "../domain/Seat.ts"
import type { SessionFence } from "../services/Signaling.ts"
import { lifetimeMs } from "./Monotonic.ts"
import * as SpreedFence from "./SpreedFence.ts"
import { type RankMessage, sealer } from "./SpreedRank.ts"
import type { SpreedSender } from "./SpreedSender.ts"

export interface RoomFenceOptions {
  /** `undefined`: silent for now. */
  readonly rank: () => Rank | undefined
  /** Known to services only. */
  readonly secret: Redacted.Redacted
}

export interface RoomFenceParts {
  readonly room: RoomToken
  readonly roster: () => Roster
  readonly sender: Pick<SpreedSender, "rank" | "roundTrip">
  readonly onOutranked: (by: Rank) => void
}

export interface RoomFence extends SessionFence {
  /** There is a new session, or a new socket. */
  readonly doubt: () => void
  /** The roster has changed. */
  readonly follow: () => void
  readonly take: (sender: SessionId, message: RankMessage) => void
}

const tickEvery = "250 millis"

/** Nothing where no rank was given: such a session is the only one. */
export const make = Effect.fnUntraced(function* (
  options: RoomFenceOptions | undefined,
  { onOutranked, room, roster, sender }: RoomFenceParts
): Effect.fn.Return<RoomFence | undefined, never, Scope.Scope> {
  if (options === undefined) return undefined
  const now = yield* lifetimeMs
  const doubted = Latch.makeUnsafe(false)
  let isHeld = false
  const fence = SpreedFence.make({
    rank: options.rank,
    ...sealer(options.secret, room),
    roster,
    send: sender.rank,
    onOutranked,
    onDoubt: () => doubted.openUnsafe()
  })
  yield* Effect.gen(function* () {
    yield* doubted.await
    doubted.closeUnsafe()
    const doubts = fence.doubts()
    // where the socket goes first, the next one is doubted anew
    if (yield* sender.roundTrip) fence.proven(doubts)
  }).pipe(Effect.forever, Effect.forkScoped)
  yield* Effect.sync(() => fence.tick(now())).pipe(Effect.repeat(Schedule.spaced(tickEvery)), Effect.forkScoped)
  return {
    doubt: () => fence.doubt(now()),
    follow: () => fence.follow(now()),
    take: fence.take,
    isMuted: () => isHeld || fence.isMuted(now()),
    hold: (held) => {
      isHeld = held
    },
    announce: () => fence.announce(now()),
    outranked: fence.outranked
  }
})
