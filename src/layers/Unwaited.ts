/**
 * Questions to a database that whoever has asked can leave alone.
 */
import { Effect, Fiber } from "effect"

/**
 * The same question, but who is interrupted, as by a limit of time, goes on at once: a connection that is let go of waits until the server has taken
 * note of that, and one that is frozen does not before the connection is given up, seconds later.
 */
export const unwaited = <A, E, R>(question: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(Effect.interruptible(question)), (asked) =>
      Effect.onInterrupt(restore(Fiber.join(asked)), () => Effect.sync(() => asked.interruptUnsafe()))
    )
  )
