/**
 * Speakers in calls on a real HPB with Janus, the service as it is run: makes the network namespaces of `npm run test:talk`, which needs root on
 * Debian 12, and runs the benchmark once more in them.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, Schema } from "effect"
import * as Namespace from "../../test/talk/Namespace.ts"
import { failure } from "../../test/talk/ProofError.ts"
import * as Provision from "../../test/talk/Provision.ts"
import { ended, freshFolder } from "../../test/talk/RunFolder.ts"

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** What the process in the namespaces is told. */
export const Ground = Schema.Struct({
  artefacts: Schema.String,
  far: Schema.String,
  hpbs: Schema.Array(
    Schema.Struct({ generation: Schema.Literals(Provision.generations), version: Schema.String, path: Schema.String })
  )
})
export type Ground = typeof Ground.Type

/** Runs `npm run bench` with these arguments inside; fails where it did. */
export const enter = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  if (process.getuid?.() !== 0) return yield* failure("--talk needs root: it makes network namespaces")
  yield* Provision.packages
  const hpbs = yield* Provision.hpbs(here(".cache/talk"))
  const { far, main } = yield* Namespace.make()
  const ground: Ground = { artefacts: freshFolder(here("artefacts/talk")), far, hpbs }
  const again = [here("bench/main.ts"), ...args, `--inside=${JSON.stringify(ground)}`]
  const command = ["--pdeathsig", "TERM", "ip", "netns", "exec", main, process.execPath, ...again]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("setpriv", command, { stdio: "inherit" })),
    (one) =>
      Effect.andThen(
        Effect.sync(() => one.kill("SIGTERM")),
        Effect.timeout(ended(one), "20 seconds")
      ).pipe(Effect.ignore)
  )
  const code = yield* ended(child)
  if (code !== 0) return yield* failure(`the benchmark in the namespaces ended with ${code}`)
}, Effect.scoped)
