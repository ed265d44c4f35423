/**
 * A speech engine as a process of its own: Kyutai's protocol, and ears for tone-coded words. Tells its parent where it is.
 */
import { Effect } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const { httpUrl, url } = yield* KyutaiSimulator.make()
      process.send?.({ httpUrl, url })
      return yield* Effect.never
    })
  )
)
