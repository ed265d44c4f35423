import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isAlive } from "./RunnersScene.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"
import { until } from "./Until.ts"

const program = `
  import { spawn } from "node:child_process"
  import { mkdirSync } from "node:fs"
  import * as LeftBehind from ${JSON.stringify(new URL("LeftBehind.ts", import.meta.url).href)}
  const folder = process.argv[1]
  mkdirSync(folder)
  const begin = () => spawn("sleep", ["600"], { stdio: "ignore" }).pid
  const [ended, frozen] = [begin(), begin()]
  const { release } = LeftBehind.watch(ended)
  LeftBehind.watch(frozen, folder)
  release()
  process.kill(frozen, "SIGSTOP")
  process.stdout.write(ended + " " + frozen)
  setInterval(() => {}, 1000)`

describe("what a test has started", () => {
  it.live("ends when the test's process is killed, frozen or not; what was released does not", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "data")
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["--input-type=module", "-e", program, folder], {
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (process) => Effect.sync(() => process.kill("SIGKILL"))
      )
      const [said] = yield* Effect.promise(() => once(child.stdout, "data"))
      const [ended = 0, frozen = 0] = String(said).split(" ").map(Number)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(ended, "SIGKILL")))
      assert.isTrue(existsSync(folder))
      child.kill("SIGKILL")
      yield* until(() => !isAlive(frozen) && !existsSync(folder))
      assert.isTrue(isAlive(ended))
    }).pipe(Effect.scoped)
  )
})
