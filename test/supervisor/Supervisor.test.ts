import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Supervisor from "../../src/supervisor/Supervisor.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

/** A supervisor over processes that say of themselves what this function says, ten times a second. */
const supervise = Effect.fnUntraced(function* (
  cpuOf: (slot: number, seconds: number) => number | undefined,
  options: Pick<Supervisor.SupervisorOptions, "atFirst" | "growth" | "most">
): Effect.fn.Return<{ readonly begun: () => ReadonlyArray<string> }, never, Scope.Scope> {
  const folder = yield* temporaryFolder
  const [log, program] = [join(folder, "begun"), join(folder, "runner.mjs")]
  writeFileSync(log, "")
  writeFileSync(
    program,
    `
    import { appendFileSync } from "node:fs"
    const cpuOf = ${cpuOf}
    process.on("message", (message) => {
      if (message._tag === "Stop") process.exit(0)
      if (message._tag !== "Welcome") return
      appendFileSync(${JSON.stringify(log)}, message.slot + " ")
      process.send({ _tag: "Ready", shutdownSeconds: 1, logLevel: "Error" })
      setInterval(() => {
        const cpu = cpuOf(message.slot, performance.now() / 1000)
        if (cpu !== undefined) process.send({ _tag: "Load", cpu, received: 0, open: 0 })
      }, 100)
    })
    process.on("disconnect", () => process.exit(0))`
  )
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const ended = Promise.withResolvers<number>()
      const { stop } = Supervisor.start({ program: pathToFileURL(program), onEnd: ended.resolve, ...options })
      return { stop, ended: ended.promise }
    }),
    ({ ended, stop }) =>
      Effect.promise(() => {
        stop()
        return ended
      })
  )
  return { begun: () => readFileSync(log, "utf8").trim().split(" ").filter(Boolean) }
})

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), 120_000)

describe("a supervisor", () => {
  live(
    "that may adds a runner while all are busy, one after the other, to as many as there may be",
    Effect.gen(function* () {
      const growth = { busyMs: 1000, settleMs: 500 }
      const { begun } = yield* supervise(() => 0.9, { atFirst: 1, most: 3, growth })
      yield* until(() => begun().length === 3)
      yield* Effect.sleep("2500 millis")
      assert.deepStrictEqual(begun(), ["0", "1", "2"])
    })
  )

  live(
    "adds none while they have little to do",
    Effect.gen(function* () {
      const growth = { busyMs: 1000, settleMs: 500 }
      const { begun } = yield* supervise((slot) => (slot === 0 ? 0.9 : 0.1), { atFirst: 2, most: 3, growth })
      yield* until(() => begun().length === 2)
      yield* Effect.sleep("3 seconds")
      assert.deepStrictEqual(begun(), ["0", "1"])
    })
  )

  live(
    "ends one that is stuck, and starts it again",
    Effect.gen(function* () {
      const { begun } = yield* supervise((slot, seconds) => (slot === 1 && seconds > 1 ? undefined : 0), {
        atFirst: 2,
        most: 2
      })
      yield* until(() => begun().length === 3)
      assert.deepStrictEqual(begun(), ["0", "1", "1"])
    })
  )
})
