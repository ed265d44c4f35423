/**
 * Whatever its runners do when a supervisor is killed, they end: nobody else would end them.
 */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as EndingScene from "../support/EndingScene.ts"
import * as RunnersScene from "../support/RunnersScene.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import * as SharedCalls from "../support/SharedCalls.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

/** s; real processes on a busy machine. A runner has one to end in, and half of one more, and is looked after once a second. */
const SOON = 60
/** ms. */
const PATIENCE = 180_000
const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), PATIENCE)

const hasAddon = typeof NativeAddon.load() !== "string"
const ending = { LT_SHUTDOWN_SECONDS: "1" }

/** Ends whatever the test leaves behind. */
const allEnd = (pids: ReadonlyArray<number>) =>
  until(() => !pids.some(RunnersScene.isAlive), SOON).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        for (const pid of pids) if (RunnersScene.isAlive(pid)) process.kill(pid, "SIGKILL")
      })
    )
  )

/** A supervisor of two runners which do this, by their slot, as soon as they are ready; `workers`: how many threads each runs JavaScript in. */
const supervise = Effect.fnUntraced(function* (doing: string, { loadsAddon = true } = {}) {
  const folder = yield* temporaryFolder
  const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  writeFileSync(
    join(folder, "runner.mjs"),
    `
    import { writeSync } from "node:fs"
    import { connect } from ${source("layers/SupervisedFront.ts")}
    let workers = 0
    process.on("worker", () => workers++)
    ${loadsAddon ? "" : 'process.dlopen = () => { throw new Error("cannot be loaded") }'}
    const { front, ready } = await connect()
    ready({ shutdownSeconds: 1, logLevel: "Error" })
    setTimeout(() => {
      writeSync(1, process.pid + " " + workers + "\\n")
      ${doing}
    }, 100)`
  )
  writeFileSync(
    join(folder, "supervisor.mjs"),
    `
    import { start } from ${source("supervisor/Supervisor.ts")}
    const program = new URL("./runner.mjs", import.meta.url)
    start({ program, atFirst: 2, most: 2, onEnd: (code) => process.exit(code) })`
  )
  let said = ""
  const supervisor = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [join(folder, "supervisor.mjs")], { stdio: ["ignore", "pipe", "inherit"] })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  supervisor.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8")
  })
  const lines = () => said.split("\n").slice(0, -1)
  yield* until(() => lines().length === 2, SOON)
  const [runners, workers] = [0, 1].map((field) => lines().map((line) => Number(line.split(" ")[field])))
  return { supervisor, runners: runners ?? [], workers: workers ?? [] }
})

describe.concurrent("runners whose supervisor is killed end", () => {
  live(
    "while they start",
    Effect.gen(function* () {
      const service = yield* start({ PORT: String(yield* freePort), LT_RUNNERS: "2", ...ending })
      const pid = service.child.pid ?? 0
      const children = () => RunnersScene.childrenOf(pid)
      yield* until(() => children().length > 0, SOON)
      yield* Effect.sleep("200 millis")
      const runners = children()
      process.kill(pid, "SIGKILL")
      yield* allEnd(runners)
    })
  )

  live(
    "while each has calls that the other would take",
    Effect.gen(function* () {
      const scene = yield* SharedCalls.make()
      const rooms = ["room0", "room1"]
      for (const room of rooms) {
        yield* scene.talk.addViewer({ name: "Vera", room })
        yield* scene.talk.addSpeaker({ name: "Ada", room })
        yield* scene.want(room)
      }
      yield* SharedCalls.within(
        SOON,
        Effect.map(scene.status, ({ calls }) => calls.length === 2 && calls.every(({ speakers }) => speakers === 1))
      )
      const runners = yield* scene.runners
      scene.service.child.kill("SIGKILL")
      yield* allEnd(runners)
      assert.isTrue(rooms.every((room) => scene.talk.servicesIn(room) === 0))
    })
  )

  live(
    "in the middle of their end",
    Effect.gen(function* () {
      const scene = yield* RunnersScene.make(ending, { delayMs: 500 })
      const clients = yield* Effect.forEach([1, 2, 3, 4], () => scene.connect())
      for (const client of clients) client.send({ action: "start" })
      yield* RunnersScene.speak(clients, EndingScene.words.slice(0, 2))
      const runners = scene.runners()
      scene.service.child.kill("SIGTERM")
      yield* Effect.sleep("50 millis")
      scene.service.child.kill("SIGKILL")
      yield* allEnd(runners)
    })
  )

  live(
    "while they stand still, in a loop or asleep",
    Effect.gen(function* () {
      const { runners, supervisor, workers } = yield* supervise(
        "if (front.slot === 0) for (;;) {} else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"
      )
      supervisor.kill("SIGKILL")
      yield* allEnd(runners)
      // A thread of the addon's looks after them.
      if (hasAddon) assert.deepStrictEqual(workers, [0, 0])
    })
  )

  live(
    "while they stand still, also without the addon",
    Effect.gen(function* () {
      const { runners, supervisor, workers } = yield* supervise("for (;;) {}", { loadsAddon: false })
      supervisor.kill("SIGKILL")
      yield* allEnd(runners)
      assert.deepStrictEqual(workers, [1, 1])
    })
  )

  live(
    "where their end does not come to its end",
    Effect.gen(function* () {
      const { runners, supervisor } = yield* supervise("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)")
      supervisor.kill("SIGKILL")
      yield* allEnd(runners)
    })
  )
})
