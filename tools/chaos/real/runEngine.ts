/**
 * A simulated speech engine as a process of its own, to be stopped and killed. Arguments: `modal` or `moshi`, and a port.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import * as KyutaiSimulator from "../../../src/layers/KyutaiSimulator.ts"
import * as MoshiSimulator from "../../../src/layers/MoshiSimulator.ts"

const [kind, port] = process.argv.slice(2)
const options = { port: Number(port) }

const simulator: Effect.Effect<{ readonly url: string }, unknown, Scope.Scope> =
  kind === "moshi" ? MoshiSimulator.make(options) : KyutaiSimulator.make(options)

NodeRuntime.runMain(
  simulator.pipe(
    Effect.andThen(({ url }) => Effect.sync(() => process.stdout.write(`engine at ${url}\n`))),
    Effect.andThen(Effect.never),
    Effect.scoped
  )
)
