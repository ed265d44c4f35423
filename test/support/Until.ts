/** Waits in real time, whatever the test's own clock says. */
import { Effect } from "effect"

/** Completes when it is so; dies when it was not for so long. */
export const until = (isSo: () => boolean, seconds = 60): Effect.Effect<void> =>
  Effect.promise(async (signal) => {
    const latestMs = performance.now() + seconds * 1000
    while (!isSo() && !signal.aborted) {
      if (performance.now() > latestMs) throw new Error(`it was not so within ${seconds} s`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
