/**
 * The runners of one benchmark: processes of the service that share the speakers, looked at as one and each for itself.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import { ask, message } from "../process/Channel.ts"
import * as Processes from "../process/Processes.ts"
import * as Wire from "./Wire.ts"

export interface Runners {
  readonly all: ReadonlyArray<Processes.Measured>
  /** Where the offer of a speaker goes: they are dealt out in turn. */
  readonly of: (speaker: number) => Processes.Measured | undefined
  /** How each is; `settle` collects garbage before it looks. */
  readonly look: (settle?: boolean) => Effect.Effect<ReadonlyArray<Wire.Standing>, Processes.ProcessError>
  readonly residentMb: () => number
  readonly output: () => string
}

export interface RunnersOptions {
  readonly runners: number
  readonly path: Wire.ServiceTask["path"]
  readonly engineUrl: string
  readonly oneCore: boolean
  readonly profile: string | undefined
  /** Where the first of them listens; absent: nowhere. */
  readonly port?: number
}

const Package = Schema.fromJsonString(Schema.Struct({ scripts: Schema.Struct({ start: Schema.String }) }))
const START = Schema.decodeSync(Package)(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8")
).scripts.start.split(" ")
/** What `npm start` tells V8, and the C library. */
const AS_STARTED = {
  args: START.filter((word) => word.startsWith("--")),
  env: Object.fromEntries(START.flatMap((word) => (/^[A-Z_]+=/.test(word) ? [word.split("=")] : [])))
}

/** All of them ready, for as long as the scope. */
export const start = Effect.fnUntraced(function* (
  options: RunnersOptions
): Effect.fn.Return<Runners, Processes.ProcessError, Scope.Scope> {
  const all = yield* Effect.forEach(Array.from({ length: options.runners }), (_, n) => startOne(options, n), {
    concurrency: "unbounded"
  })
  return {
    all,
    of: (speaker) => all[speaker % all.length],
    look: (settle = false) =>
      Effect.forEach(all, (one) => ask(one, Wire.Look.make({ settle }), Wire.Standing), { concurrency: "unbounded" }),
    residentMb: () => sum(all.map((one) => one.residentMb())),
    output: () => all.map((one) => one.output()).join("\n")
  }
})

const startOne = Effect.fnUntraced(function* (options: RunnersOptions, n: number) {
  const { engineUrl, oneCore, path, port, profile } = options
  const storage = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
  const listens = port !== undefined && n === 0
  const task = Wire.ServiceTask.make({ path, listens })
  const measured = yield* Processes.start({
    args: [
      "--expose-gc",
      ...AS_STARTED.args,
      ...profiling,
      Processes.beside(import.meta.url, "runService.ts"),
      JSON.stringify(task)
    ],
    oneCore,
    env: {
      ...AS_STARTED.env,
      STT_STREAM_URL: engineUrl,
      APP_PERSISTENT_STORAGE: storage,
      LOG_LEVEL: "warn",
      ...(listens ? { PORT: String(port), LT_LISTEN_HOST: "127.0.0.1" } : {})
    }
  })
  yield* message(measured, Wire.ServiceReady)
  return measured
})

/** What all together are, as if they were one: sums; of the event loops the worst. */
export const together = (standings: ReadonlyArray<Wire.Standing>) => {
  const sumOf = (of: (one: Wire.Standing) => number) => sum(standings.map(of))
  const worstOf = (of: (one: Wire.Standing) => number) => Math.max(...standings.map(of))
  return {
    connected: sumOf(({ connected }) => connected),
    received: sumOf(({ received }) => received),
    cpuMs: sumOf(({ systemMs, userMs }) => systemMs + userMs),
    rssMb: sumOf(({ rssMb }) => rssMb),
    heapMb: sumOf(({ heapMb }) => heapMb),
    externalMb: sumOf(({ externalMb }) => externalMb),
    ringMb: sumOf(({ ringMb }) => ringMb),
    engineSessions: sumOf(({ engineSessions }) => engineSessions),
    eventLoopP50Ms: worstOf(({ eventLoopP50Ms }) => eventLoopP50Ms),
    eventLoopP99Ms: worstOf(({ eventLoopP99Ms }) => eventLoopP99Ms),
    eventLoopMaxMs: worstOf(({ eventLoopMaxMs }) => eventLoopMaxMs),
    drops: dropsOf(standings)
  }
}

const dropsOf = (standings: ReadonlyArray<Wire.Standing>): Readonly<Record<string, number>> => {
  const all: Record<string, number> = {}
  for (const { drops } of standings) {
    for (const [reason, count] of Object.entries(drops)) all[reason] = (all[reason] ?? 0) + count
  }
  return all
}

export interface RunnerCost {
  /** Of one core; what of that the kernel needed. */
  readonly percentCore: number
  readonly percentCoreSystem: number
  readonly eventLoopP99Ms: number
  readonly speakers: number
}

/** What each used between two looks, by its own clock. */
export const costs = (
  before: ReadonlyArray<Wire.Standing>,
  after: ReadonlyArray<Wire.Standing>
): ReadonlyArray<RunnerCost> =>
  after.map(({ atMs, eventLoopP99Ms, receivedOf, systemMs, userMs }, n) => {
    const from = before[n] ?? { atMs: 0, systemMs: 0, userMs: 0 }
    const percentOf = (usedMs: number) => (100 * usedMs) / (atMs - from.atMs)
    const percentCoreSystem = percentOf(systemMs - from.systemMs)
    return {
      percentCore: percentCoreSystem + percentOf(userMs - from.userMs),
      percentCoreSystem,
      eventLoopP99Ms,
      speakers: receivedOf.length
    }
  })

const sum = (values: ReadonlyArray<number>) => values.reduce((all, one) => all + one, 0)
