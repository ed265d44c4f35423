/**
 * The simulated speech engine as a process of its own. Arguments: port, then any of `fast`, `punctuation`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"

const [port, ...flags] = process.argv.slice(2)

NodeRuntime.runMain(
  KyutaiSimulator.make({
    port: Number(port),
    format: flags.includes("fast") ? ToneModem.fast : ToneModem.normal,
    punctuation: flags.includes("punctuation")
  }).pipe(
    Effect.andThen(({ url }) => Effect.sync(() => console.log(`engine at ${url}`))),
    Effect.andThen(Effect.never),
    Effect.scoped
  )
)
