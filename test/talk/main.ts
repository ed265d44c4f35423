/**
 * `npm run test:talk`: proves the service against a real HPB, Janus, Chromium and coturn. Needs root on Debian 12.
 *
 * Without more: the main job and the drills. `--all`: also what waits long. `--measure`: only the figures. `--only=a,b`: scenarios by
 * name. `--main=dist/main.js`: another program under test. `--lanes=1`: one scenario at a time; left out, two run beside each other, except for
 * figures. Logs and screenshots are kept under `artefacts/talk`.
 */

import { spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { setPriority } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import { breakages } from "./Breakages.ts"
import { doubts } from "./Doubts.ts"
import { endings } from "./Endings.ts"
import { engineFaults } from "./EngineFaults.ts"
import { measurements } from "./Measurements.ts"
import * as Namespace from "./Namespace.ts"
import { because, failure, type ProofError } from "./ProofError.ts"
import * as Provision from "./Provision.ts"
import * as Report from "./Report.ts"
import { ended, freshFolder } from "./RunFolder.ts"
import { runners } from "./Runners.ts"
import { runnersShare } from "./RunnersShare.ts"
import { perform, type Scenario } from "./Scenario.ts"
import { scenarios } from "./Scenarios.ts"
import { faults } from "./ScenariosFaults.ts"

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const argument = (name: string) => process.argv.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3)
const flag = (name: string) => process.argv.includes(`--${name}`)

const Bench = Schema.fromJsonString(
  Schema.Struct({
    artefacts: Schema.String,
    far: Schema.String,
    main: Schema.String,
    lane: Schema.Int,
    hpbs: Schema.Array(
      Schema.Struct({ generation: Schema.Literals(Provision.generations), version: Schema.String, path: Schema.String })
    )
  })
)

const chosen = (): ReadonlyArray<Scenario> => {
  const all = [
    ...scenarios,
    ...faults,
    ...breakages,
    ...doubts,
    ...engineFaults,
    ...endings,
    ...runners,
    runnersShare,
    ...measurements
  ]
  const only = argument("only")?.split(",")
  if (only !== undefined) return all.filter(({ name }) => only.includes(name))
  if (flag("all")) return all
  return all.filter(({ when }) => when === (flag("measure") ? "measure" : "always"))
}

/** Figures are of a machine that does nothing else. */
const lanes = Number(argument("lanes") ?? (flag("measure") ? 1 : 2))
const Results = Schema.fromJsonString(Schema.Array(Report.Result))
const resultsIn = (artefacts: string, lane: number) => join(artefacts, `results-${lane}.json`)

/** Inside the namespace: runs the scenarios of its lane. */
const inside = (bench: string) =>
  Effect.gen(function* () {
    const decoded = yield* Schema.decodeEffect(Bench)(bench)
    // The world around the service keeps time even where the machine is busy with something else.
    yield* Effect.ignore(Effect.try({ try: () => setPriority(0, -5), catch: because("priority") }))
    const own = chosen().filter((_, place) => place % lanes === decoded.lane)
    const results = yield* Effect.forEach(own, (scenario) =>
      Effect.tap(perform(decoded, scenario), (result) => Effect.sync(() => Report.printOne(result)))
    )
    writeFileSync(resultsIn(decoded.artefacts, decoded.lane), yield* Schema.encodeEffect(Results)(results))
    return true
  })

/** Runs this program once more, in a namespace of its own; gives what it found out. */
const inNamespace = Effect.fnUntraced(function* (world: Omit<typeof Bench.Type, "far" | "lane">, lane: number) {
  const { far, main } = yield* Namespace.make(lane)
  const again = ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const bench = JSON.stringify({ ...world, far, lane })
  const args = ["--pdeathsig", "TERM", "ip", "netns", "exec", main, process.execPath, ...again, `--inside=${bench}`]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("setpriv", args, { stdio: "inherit" })),
    (one) =>
      Effect.andThen(
        Effect.sync(() => one.kill("SIGTERM")),
        Effect.timeout(ended(one), "20 seconds")
      ).pipe(Effect.ignore)
  )
  if ((yield* ended(child)) !== 0) return yield* failure(`lane ${lane} did not come to its end`)
  return yield* Schema.decodeEffect(Results)(readFileSync(resultsIn(world.artefacts, lane), "utf8"))
}, Effect.scoped)

/** Outside: provides what is needed, and judges what the lanes found out. */
const outside = Effect.gen(function* () {
  if (process.getuid?.() !== 0) return yield* failure("npm run test:talk needs root: it makes network namespaces")
  yield* Provision.packages
  const hpbs = yield* Provision.hpbs(here(".cache/talk"))
  const artefacts = freshFolder(here("artefacts/talk"))
  console.log(`HPB ${hpbs.map(({ version }) => version).join(", ")}; logs in ${artefacts}`)
  const world = { artefacts, hpbs, main: here(argument("main") ?? "src/main.ts") }
  const results = yield* Effect.forEach(
    Array.from({ length: Math.min(lanes, chosen().length) }, (_, lane) => lane),
    (lane) => inNamespace(world, lane),
    { concurrency: "unbounded" }
  )
  const order = chosen().map(({ name }) => name)
  return Report.print(results.flat().sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)))
})

const bench = argument("inside")
const program: Effect.Effect<boolean, ProofError | Schema.SchemaError> = bench === undefined ? outside : inside(bench)
let proven = false

NodeRuntime.runMain(
  Effect.map(program, (ok) => {
    proven = ok
  }),
  { teardown: (exit, onExit) => onExit(exit._tag === "Success" && proven ? 0 : 1) }
)
