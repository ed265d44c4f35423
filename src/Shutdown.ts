/**
 * How the process ends: by itself within a deadline after the first signal, by force at the deadline or at the second signal.
 */
import { Cause, Effect, type Exit, Layer } from "effect"

/** Of a process that had to be ended by force. */
const FORCED = 70

/** `runMain` waits for finalizers for ever and ignores further signals; whoever stops containers does not. */
export const deadline = (seconds: number): Layer.Layer<never> =>
  Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        let isStopping = false
        const onSignal = () => {
          if (isStopping) process.exit(FORCED)
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
