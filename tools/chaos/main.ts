/**
 * `npm run chaos`: breaks things while people speak in a call, and counts the words. `--help` says how. On the real HPB and Janus where they
 * can be had (Debian 12, root), else on simulators; the service and the engines are processes of their own in either case.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { setPriority } from "node:os"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import * as Namespace from "../../test/talk/Namespace.ts"
import { because, failure, type ProofError } from "../../test/talk/ProofError.ts"
import * as Provision from "../../test/talk/Provision.ts"
import { ended, freshFolder } from "../../test/talk/RunFolder.ts"
import * as Deterministic from "./deterministic/Command.ts"
import * as Options from "./real/Options.ts"
import * as Rig from "./real/Rig.ts"
import * as Run from "./real/Run.ts"
import * as Simulated from "./real/Simulated.ts"

/** As `npm run test:talk`. */
const PRIORITY = -5

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const say = (line: string) => process.stdout.write(`${line}\n`)

const Bench = Schema.fromJsonString(
  Schema.Struct({
    artefacts: Schema.String,
    far: Schema.String,
    main: Schema.String,
    hpbs: Schema.Array(
      Schema.Struct({ generation: Schema.Literals(Provision.generations), version: Schema.String, path: Schema.String })
    )
  })
)

const voicesOf = ({ voices }: Options.Options) =>
  ["ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"].slice(0, voices)

/** In the namespace of the outer process. */
const inside = (bench: string, options: Options.Options) =>
  Effect.gen(function* () {
    const decoded = yield* Effect.mapError(Schema.decodeEffect(Bench)(bench), because("bench"))
    // The world around the service keeps time even where the machine is busy with something else.
    yield* Effect.ignore(Effect.try({ try: () => setPriority(0, PRIORITY), catch: because("priority") }))
    const { runners } = options
    return yield* Run.perform(
      yield* Rig.make(decoded, { name: "chaos", voices: voicesOf(options), runners }),
      options,
      say
    )
  })

const simulated = (options: Options.Options, folder: string) =>
  Effect.gen(function* () {
    const stage = yield* Simulated.make({ folder, main: resolve(options.main), voices: voicesOf(options) })
    return yield* Run.perform(
      stage,
      { ...options, kinds: options.kinds.filter(({ rig, shared }) => rig !== true && shared !== true) },
      say
    )
  })

/** What the real stack needs, or why it cannot be had. */
const provisions = Effect.gen(function* () {
  if (process.getuid?.() !== 0) return yield* failure("it needs root, to make network namespaces")
  if (!existsSync("/etc/debian_version")) return yield* failure("it needs Debian 12 and its packages")
  yield* Provision.packages
  return yield* Provision.hpbs(here(".cache/talk"))
})

const onRig = (
  folder: string,
  hpbs: ReadonlyArray<Provision.Hpb>,
  options: Options.Options,
  args: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const { far, main } = yield* Namespace.make()
    const bench = JSON.stringify({ artefacts: folder, far, hpbs, main: resolve(options.main) })
    const command = [process.execPath, "--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), ...args]
    const seed = ["--seed", String(options.seed)]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          "setpriv",
          ["--pdeathsig", "TERM", "ip", "netns", "exec", main, ...command, ...seed, `--inside=${bench}`],
          { stdio: "inherit" }
        )
      ),
      (one) =>
        Effect.andThen(
          Effect.sync(() => one.kill("SIGTERM")),
          Effect.timeout(ended(one), "20 seconds")
        ).pipe(Effect.ignore)
    )
    return (yield* ended(child)) === 0
  })

const outside = (options: Options.Options, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const folder = freshFolder(here("artefacts/chaos"))
    say(`logs in ${folder}`)
    if (options.simulated) return yield* simulated(options, folder)
    const rig = yield* Effect.result(provisions)
    if (rig._tag === "Success") return yield* onRig(folder, rig.success, options, args)
    say(`the real stack cannot be had (${rig.failure.message.split("\n")[0]}): on simulators`)
    return yield* simulated(options, folder)
  })

const program = (args: ReadonlyArray<string>): Effect.Effect<boolean, ProofError, never> => {
  if (args.includes("--deterministic")) return Deterministic.run(args, say)
  const options = Options.parse(args)
  if (options === undefined)
    return Effect.as(
      Effect.sync(() => say(Options.help)),
      true
    )
  const bench = args.find((one) => one.startsWith("--inside="))?.slice("--inside=".length)
  return Effect.scoped(bench === undefined ? outside(options, args) : inside(bench, options))
}

const usage = (error: unknown) =>
  error instanceof Options.UsageError || (error instanceof TypeError && "code" in error)
    ? `${error.message} (--help says how it goes)`
    : String(error)

let held = false
NodeRuntime.runMain(
  Effect.try({ try: () => program(process.argv.slice(2)), catch: (error) => failure(usage(error)) }).pipe(
    Effect.flatten,
    Effect.tap((ok) =>
      Effect.sync(() => {
        held = ok
      })
    ),
    Effect.catch((error) => Effect.sync(() => say(`!!! ${error.message}`)))
  ),
  { teardown: (exit, onExit) => onExit(exit._tag === "Success" && held ? 0 : 1) }
)
