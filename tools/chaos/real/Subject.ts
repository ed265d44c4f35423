/**
 * The service under test: a process with its environment, ended and started as often as the faults want, watched from outside through /proc.
 */
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import * as Processes from "../../../test/talk/Processes.ts"
import { attempt, failure, type ProofError, until } from "../../../test/talk/ProofError.ts"
import { observe } from "../../../test/talk/Service.ts"
import { childrenOf } from "../../../test/talk/SharedService.ts"

export interface Sample {
  readonly atMs: number
  readonly pid: number
  readonly rssMb: number
  readonly descriptors: number
  readonly sockets: number
  /** JavaScript heap in use after a collection; not in every sample, for it holds the service up. */
  readonly heapMb?: number
}

export interface Subject {
  readonly current: () => Processes.Daemon
  /** Where it is several processes: the one that hears people. */
  readonly hearing: () => number | undefined
  /** Signals it and waits until it is gone. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
  /** Completes when it answers. */
  readonly start: Effect.Effect<void, ProofError>
  readonly sample: (heap: boolean) => Effect.Effect<Sample, ProofError>
  /** Counters and gauges by name and labels. */
  readonly metrics: Effect.Effect<ReadonlyMap<string, number>, ProofError>
}

export interface SubjectOptions {
  readonly folder: string
  readonly main: string
  readonly env: Readonly<Record<string, string>>
  /** Answers 200 when it is ready. */
  readonly heartbeat: string
  readonly metricsUrl: string
}

const probe = fileURLToPath(new URL("../../../test/talk/heapProbe.ts", import.meta.url))

/** Runs for as long as the scope. */
export const make = (options: SubjectOptions): Effect.Effect<Subject, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const heapFile = join(options.folder, "heap")
    const running = yield* Processes.restartable(
      {
        name: "service",
        command: process.execPath,
        args: ["--expose-gc", "--import", probe, options.main],
        logFile: join(options.folder, "service.log"),
        cwd: options.folder,
        env: { ...options.env, PROOF_HEAP_FILE: heapFile }
      },
      (one) =>
        attempt("heartbeat", () => fetch(options.heartbeat)).pipe(
          Effect.filterOrFail(
            ({ ok }) => ok,
            () => failure("the service is not ready")
          ),
          Effect.retry({ times: 400, while: () => Effect.as(Effect.sleep("25 millis"), one.alive()) }),
          Effect.mapError((error) => failure(`${error.message}\n${one.log().slice(-2000)}`)),
          Effect.asVoid
        )
    )
    const heapMb = Effect.gen(function* () {
      rmSync(heapFile, { force: true })
      running.current().signal("SIGUSR2")
      const bytes = yield* until("the heap", () => existsSync(heapFile) && readFileSync(heapFile, "utf8"))
      return Number(bytes) / 1e6
    })
    return {
      current: running.current,
      hearing: () => childrenOf(running.current().pid).find((pid) => observe(pid).descriptors().udp > 0),
      stop: running.stop,
      start: running.start,
      sample: (heap) =>
        Effect.gen(function* () {
          const { pid } = running.current()
          const { descriptors, rssMb } = observe(pid)
          const { all, sockets } = yield* attempt("sample", async () => descriptors())
          const seen = { atMs: Date.now(), pid, rssMb: rssMb(), descriptors: all, sockets }
          return heap ? { ...seen, heapMb: yield* heapMb } : seen
        }),
      metrics: attempt("metrics", () => fetch(options.metricsUrl).then((answer) => answer.text())).pipe(
        Effect.map(parseMetrics)
      )
    }
  })

/** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
const parseMetrics = (text: string): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [, name = "", value = ""] of text.matchAll(/^([a-zA-Z_:]\w*(?:\{[^\n]*\})?) (\S+)/gm)) {
    if (!name.includes("_bucket{")) found.set(name, Number(value))
  }
  return found
}
