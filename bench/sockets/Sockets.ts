/**
 * What streaming sessions cost the service as it is run, and what their words cost in time: clients, service and engine are a process each.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Schedule, Schema, type Scope } from "effect"
import { type Calibration, calibrate } from "../Calibration.ts"
import { message } from "../process/Channel.ts"
import * as Health from "../process/Health.ts"
import * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Ledger from "./Ledger.ts"
import type { SocketsOptions } from "./Options.ts"
import * as Runners from "./Runners.ts"
import { Ended, Speaking, ToldWords } from "./Wire.ts"

export interface SocketsCost extends Calibration {
  readonly sessions: number
  readonly door: string
  readonly format: string
  readonly speaking: number
  readonly seconds: number
  /** Of one core, all threads of the service together; and what of that the kernel needed. */
  readonly percentCore: number
  readonly percentCoreSystem: number
  readonly percentCorePerSession: number
  /** Of that what each of several processes needed, the one first that gives the others their connections; empty where there is one. */
  readonly percentCoreOfProcesses: ReadonlyArray<number>
  /** Resident at the end, and what each session added. */
  readonly rssMb: number
  readonly rssMbPerSession: number
  /** `GET /health` meanwhile. */
  readonly healthMs: Spread
  /** Last sound of a word sent → the word received, less the engine's own time. */
  readonly wordMs: Spread
  readonly words: Ledger.Words
  /** Clients that did not come to their end, and why the first did not. */
  readonly troubled: number
  readonly trouble: string | undefined
  /** What the others needed of a core, and how late the clients were: a load that cannot keep up measures itself. */
  readonly engine: { readonly percentCore: number }
  readonly clients: { readonly percentCore: number; readonly lateP99Ms: number }
  /** All processors, whoever uses them: a full machine delays everything, and engines lose their last words. */
  readonly machinePercent: number
}

const TOKEN = "benchmark"
/** Until code is compiled and buffers have their size. */
const WARM_UP = "5 seconds"

/** Takes as long as was asked for, and up to a minute. */
export const sockets = Effect.fnUntraced(function* (
  options: SocketsOptions
): Effect.fn.Return<SocketsCost, unknown, Scope.Scope> {
  const calibration = yield* calibrate
  const engine = yield* startEngine
  const service = yield* startService(options, engine.url)
  const idleMb = service.residentMb()
  const callers = yield* startCallers(options, service.port)
  yield* callers.speaking
  yield* Effect.sleep(WARM_UP)

  const fromMs = performance.timeOrigin + performance.now()
  const meter = Processes.meter(service)
  const meters = options.runners > 1 ? service.processes().map((one) => Processes.meter(one)) : []
  const others = { engine: Processes.meter(engine), clients: Processes.meter(callers) }
  const machine = Processes.machineMeter()
  const answers: Array<Health.HealthAnswer> = []
  const asking = yield* Effect.forkChild(Health.ask(service.port, answers))
  yield* Effect.sleep(options.seconds * 1000)
  const used = meter()
  const percentCoreOfProcesses = meters.map((one) => one().percent)
  const [engineUsed, clientsUsed] = [others.engine(), others.clients()]
  const machinePercent = machine()
  const rssMb = service.residentMb()
  const untilMs = performance.timeOrigin + performance.now()
  yield* Fiber.interrupt(asking)

  callers.child.send("finish")
  const { heard, lateP99Ms } = yield* callers.ended
  const log = yield* Effect.tryPromise(() => fetch(`${engine.httpUrl}/log`).then((answer) => answer.json())).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(ToldWords))
  )
  const troubles = heard.flatMap(({ trouble }) => trouble ?? [])
  const { door, format, seconds, sockets: sessions, speaking } = options
  return {
    sessions,
    door,
    format,
    speaking,
    seconds,
    percentCore: used.percent,
    percentCoreSystem: used.percentSystem,
    percentCorePerSession: used.percent / sessions,
    percentCoreOfProcesses,
    rssMb,
    rssMbPerSession: (rssMb - idleMb) / sessions,
    healthMs: spread(answers.map(({ ms }) => ms)),
    wordMs: spread(Ledger.delaysOf(heard, log, { fromMs, untilMs })),
    words: Ledger.wordsOf(heard),
    troubled: troubles.length,
    trouble: troubles[0],
    engine: { percentCore: engineUsed.percent },
    clients: { percentCore: clientsUsed.percent, lateP99Ms },
    machinePercent,
    ...calibration
  }
})

const startEngine = Effect.gen(function* () {
  const measured = yield* Processes.start({ args: [Processes.beside(import.meta.url, "runEngine.ts")] })
  const addresses = yield* message(measured, Schema.Struct({ httpUrl: Schema.String, url: Schema.String }))
  return { ...measured, ...addresses }
})

const startService = Effect.fnUntraced(function* (options: SocketsOptions, engineUrl: string) {
  const port = yield* Health.freePort
  const storage = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const profiling = options.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profile}`]
  const service = yield* Processes.start({
    args: [...profiling, options.service],
    oneCore: options.oneCore,
    env: {
      PORT: String(port),
      LT_LISTEN_HOST: "127.0.0.1",
      LT_API_TOKEN: TOKEN,
      STT_STREAM_URL: engineUrl,
      LT_MAX_STREAMS: String(options.sockets),
      LT_STREAMS_PER_TOKEN: String(options.sockets),
      APP_PERSISTENT_STORAGE: storage,
      ...(options.runners > 1 ? { LT_RUNNERS: String(options.runners) } : { LOG_LEVEL: "warn" })
    }
  })
  const measured = { ...service, ...Runners.together(service) }
  yield* Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/health`).then((answer) => answer.text())).pipe(
    Effect.retry({ schedule: Schedule.spaced("100 millis"), while: () => measured.child.exitCode === null }),
    Effect.mapError(() => new Processes.ProcessError({ detail: `the service did not start:\n${measured.output()}` }))
  )
  yield* Runners.areThere(service, options.runners)
  return { ...measured, port }
})

const startCallers = Effect.fnUntraced(function* (options: SocketsOptions, port: number) {
  const { door, format, messageMs, sockets, speaking } = options
  const task = {
    port,
    token: TOKEN,
    sockets,
    door,
    format,
    speaking,
    ...(messageMs === undefined ? {} : { messageMs })
  }
  const measured = yield* Processes.start({
    args: [Processes.beside(import.meta.url, "runCallers.ts"), JSON.stringify(task)]
  })
  return { ...measured, speaking: message(measured, Speaking), ended: message(measured, Ended) }
})
