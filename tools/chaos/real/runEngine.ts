/**
 * A simulated speech engine as a process of its own, to be stopped and killed. Arguments: `modal` or `moshi`, and a port. Prints every word it
 * tells, and when it did not understand one, for whoever has to find out where a word went.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import * as KyutaiSimulator from "../../../src/layers/KyutaiSimulator.ts"
import type { LocalServerError } from "../../../src/layers/LocalServer.ts"
import * as MoshiSimulator from "../../../src/layers/MoshiSimulator.ts"

interface Simulator {
  readonly url: string
  readonly log: () => ReadonlyArray<{ readonly text: string; readonly session: number; readonly startMs: number }>
  readonly counters: () => { readonly corrupt: number; readonly gaps: number }
}

const [kind, port] = process.argv.slice(2)
const options = { port: Number(port) }
const simulator: Effect.Effect<Simulator, LocalServerError, Scope.Scope> =
  kind === "moshi" ? MoshiSimulator.make(options) : KyutaiSimulator.make(options)

const say = (line: string) => process.stdout.write(`${line}\n`)

NodeRuntime.runMain(
  Effect.gen(function* () {
    const { counters, log, url } = yield* simulator
    say(`engine at ${url}`)
    let printed = 0
    let told = counters()
    return yield* Effect.sync(() => {
      const fresh = log().slice(printed)
      for (const { session, startMs, text } of fresh) {
        say(`${Date.now()} session ${session} at ${Math.round(startMs)} ms: ${text}`)
      }
      printed += fresh.length
      const { corrupt, gaps } = counters()
      if (corrupt > told.corrupt) say(`${Date.now()} heard a word and did not understand it`)
      if (gaps > told.gaps) say(`${Date.now()} missed a word`)
      told = { corrupt, gaps }
    }).pipe(Effect.delay("100 millis"), Effect.forever)
  }).pipe(Effect.scoped)
)
