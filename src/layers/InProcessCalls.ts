/**
 * Calls in this process, nothing stored: for tests, embedding and the demo.
 */
import { Effect, FiberSet, Layer } from "effect"
import { Calls } from "../services/Calls.ts"
import * as CallKeeping from "./CallKeeping.ts"
import type { TalkCallOptions } from "./TalkCall.ts"

/** Runs every call in this process. When its scope closes, every call delivers its last words and says bye. */
export const layer = (options: Partial<TalkCallOptions> = {}) =>
  Layer.effect(
    Calls,
    Effect.gen(function* () {
      const fork = yield* FiberSet.makeRuntime<never, void, never>()
      const keeping: CallKeeping.CallKeeping = yield* CallKeeping.make(options, {
        wake: (room) => {
          fork(Effect.suspend(() => keeping.run(room)))
        }
      })
      return Calls.of(keeping.calls)
    })
  )
