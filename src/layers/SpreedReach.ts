/**
 * Whether the HPB answers, known once for all rooms: while it is away one room dials for all, so that it is found soon after its return
 * and not by hundreds at once.
 */
import { Effect, Latch, Random, Scope, Semaphore } from "effect"
import { monotonicMs } from "./Monotonic.ts"
import type { SocketLost } from "./SpreedSocket.ts"

export interface SpreedReach {
  /** Dials at once while the HPB answers; else when it is one's turn, or when it has answered somebody. */
  readonly dial: <A, R>(open: Effect.Effect<A, SocketLost, R>) => Effect.Effect<A, SocketLost, R>
}

/** Between two dials to an HPB that is away, from beginning to beginning. A refused one costs both sides next to nothing. */
const dialEveryMs = 750
/** Rooms which were waiting dial so much apart, but none later than the second. */
const apartMs = 5
const spreadMs = 1_000

export const make: Effect.Effect<SpreedReach> = Effect.gen(function* () {
  const now = yield* monotonicMs
  const turn = yield* Semaphore.make(1)
  const answered = yield* Latch.make(true)
  let isAway = false
  let dialledAtMs = Number.NEGATIVE_INFINITY
  let waiting = 0

  const attempt = <A, R>(open: Effect.Effect<A, SocketLost, R>) =>
    Effect.suspend(() => {
      dialledAtMs = now()
      return open
    }).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          isAway = false
          answered.openUnsafe()
        })
      ),
      Effect.tapError(({ reason }) =>
        Effect.sync(() => {
          if (reason !== "Unreachable") return
          isAway = true
          answered.closeUnsafe()
        })
      )
    )

  /** Whoever's turn it is keeps it until its dial has ended. */
  const inTurn = Effect.fnUntraced(function* <A, R>(
    open: Effect.Effect<A, SocketLost, R>,
    held: Scope.Scope
  ): Effect.fn.Return<A, SocketLost, R> {
    waiting++
    yield* Effect.raceFirst(Semaphore.takeScoped(turn, 1).pipe(Scope.provide(held)), answered.await).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          waiting--
        })
      )
    )
    if (isAway) yield* Effect.sleep(Math.max(0, dialledAtMs + dialEveryMs - now()))
    else yield* Effect.sleep(yield* Random.nextBetween(0, Math.min(spreadMs, waiting * apartMs)))
    return yield* attempt(open)
  })

  return {
    dial: (open) =>
      Effect.suspend(() =>
        isAway
          ? Effect.acquireUseRelease(
              Scope.make(),
              (held) => inTurn(open, held),
              (held, exit) => Scope.close(held, exit)
            )
          : attempt(open)
      )
  }
})
