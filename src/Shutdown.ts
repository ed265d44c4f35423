/**
 * How the service ends: in order and within its time once its scope closes; as a process also by force, at the deadline or at the second signal.
 */
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { monotonicMs } from "./layers/Monotonic.ts"
import { type Phase, Stopping, schedule } from "./services/Stopping.ts"

/** Of a process that had to be ended by force (EX_SOFTWARE of sysexits.h). */
const FORCED = 70

/**
 * The same service, but before its scope closes it stops: nothing new is begun and all farewells run at once, within these seconds as
 * `schedule` divides them.
 */
export const orderly =
  (seconds: number) =>
  <A, E, R>(service: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
    Layer.unwrap(
      Effect.map(make(seconds), ({ begin, stopping }) =>
        // Built last, hence closed first.
        Layer.effectDiscard(Effect.addFinalizer(() => begin)).pipe(
          Layer.provideMerge(service),
          Layer.provide(Layer.succeed(Stopping, stopping))
        )
      )
    )

/** The same layer, but what it made ends among the farewells already, and not only when its turn comes. */
export const early = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { farewell } = yield* Stopping
      const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
      const context = yield* Layer.buildWithScope(layer, scope)
      yield* farewell(Scope.close(scope, Exit.void))
      return context
    })
  )

const make = Effect.fnUntraced(function* (seconds: number) {
  const now = yield* monotonicMs
  const begun = yield* Deferred.make<number>()
  const farewells = new Set<Effect.Effect<void>>()
  const until = (phase: Phase) =>
    Effect.flatMap(Deferred.await(begun), (begunMs) =>
      Effect.sleep(Math.max(0, begunMs + (seconds * 1000 * schedule[phase]) / 8 - now()))
    )
  const stopping: Stopping = {
    isStopping: () => Deferred.isDoneUnsafe(begun),
    until,
    farewell: (effect) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => farewells.add(effect)),
          () => Effect.sync(() => farewells.delete(effect))
        )
      )
  }
  // Not waiting for a farewell does not break it off in its middle.
  const bidden = (farewell: Effect.Effect<void>) =>
    Effect.flatMap(Effect.forkDetach(farewell), (fiber) => Effect.raceFirst(Fiber.await(fiber), until("Left")))
  const begin = Effect.suspend(() => {
    Deferred.doneUnsafe(begun, Effect.succeed(now()))
    return Effect.forEach([...farewells], bidden, { concurrency: "unbounded", discard: true })
  })
  return { stopping, begin }
})

/**
 * `runMain` waits for finalizers for ever and ignores further signals; whoever stops containers does not. A runner is told to end by its
 * supervisor, and perhaps by the same signal as that: for it a second signal says nothing new.
 */
export const deadline = (seconds: number, forcedBy: "SecondSignal" | "Time" = "SecondSignal"): Layer.Layer<never> =>
  Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        let isStopping = false
        const onSignal = () => {
          if (isStopping && forcedBy === "SecondSignal") process.exit(FORCED)
          if (isStopping) return
          isStopping = true
          setTimeout(() => process.exit(FORCED), seconds * 1000).unref()
        }
        process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
        return onSignal
      }),
      (onSignal) => Effect.sync(() => process.off("SIGTERM", onSignal).off("SIGINT", onSignal))
    )
  )

/** A signal is not a failure: 0. */
export const teardown = <E, A>(exit: Exit.Exit<E, A>, onExit: (code: number) => void): void =>
  onExit(exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
