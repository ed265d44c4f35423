/**
 * Processes of the benchmark, and what each of them uses, as Linux counts it: nothing is asked of the process itself.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect, Schema, type Scope } from "effect"

/** A process of the benchmark broke, or did not do what it was started for. */
export class ProcessError extends Schema.TaggedError<ProcessError>()("ProcessError", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export interface Measured {
  readonly child: ChildProcess
  /** All its threads, since it began. */
  readonly cpu: () => { readonly userMs: number; readonly systemMs: number }
  readonly residentMb: () => number
  /** The last lines it wrote. */
  readonly output: () => string
}

/** Percent of all processors' time that is used, by whoever, from now until it is asked. */
export const machineMeter = (): (() => number) => {
  const before = machine()
  return () => {
    const after = machine()
    return (100 * (after.busy - before.busy)) / (after.all - before.all)
  }
}

/** Percent of one core that a process uses, all its threads, from now until it is asked. */
export const meter = ({ cpu }: Measured): (() => { readonly percent: number; readonly percentSystem: number }) => {
  const before = cpu()
  const beganMs = performance.now()
  return () => {
    const { systemMs, userMs } = cpu()
    const percentOf = (usedMs: number) => (100 * usedMs) / (performance.now() - beganMs)
    const percentSystem = percentOf(systemMs - before.systemMs)
    return { percentSystem, percent: percentSystem + percentOf(userMs - before.userMs) }
  }
}

/** Time in use and time there was, of all processors, since the machine began to count. */
const machine = (): { readonly busy: number; readonly all: number } => {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n")
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, ...interrupts] = line
    .split(/\s+/)
    .slice(1, 9)
    .map(Number)
  const busy = user + nice + system + interrupts.reduce((sum, one) => sum + one, 0)
  return { busy, all: busy + idle + waiting }
}

/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick. */
const TICK_MS = 10
const KEPT_CHARACTERS = 4000
const END_WITHIN = "8 seconds"

export interface ProcessOptions {
  /** Of node, the script first or behind node's own. */
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** One processor only. */
  readonly oneCore?: boolean
}

/** Runs node until the scope closes; with a channel to it. Ends with SIGTERM, or after 8 s by force. */
export const start = ({
  args,
  env = {},
  oneCore = false
}: ProcessOptions): Effect.Effect<Measured, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [command, ...prefix] = oneCore ? ["taskset", "--cpu-list", "0", process.execPath] : [process.execPath]
      let output = ""
      const child = spawn(command ?? process.execPath, [...prefix, ...args], {
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // arrays of numbers as they are
        serialization: "advanced"
      })
      const keep = (chunk: Buffer) => {
        output = (output + chunk.toString("utf8")).slice(-KEPT_CHARACTERS)
      }
      child.stdout?.on("data", keep)
      child.stderr?.on("data", keep)
      return { child, output: () => output, ...ofPid(child.pid ?? 0) }
    }),
    ({ child }) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
      }).pipe(Effect.timeoutOrElse({ duration: END_WITHIN, orElse: () => Effect.sync(() => child.kill("SIGKILL")) }))
  )

/** What the kernel says of a process, whoever has started it. */
export const ofPid = (pid: number): Pick<Measured, "cpu" | "residentMb"> => {
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8")
  return {
    cpu: () => {
      const fields = read("stat").split(") ")[1]?.split(" ") ?? []
      return { userMs: Number(fields[11]) * TICK_MS, systemMs: Number(fields[12]) * TICK_MS }
    },
    residentMb: () => Number(read("status").match(/VmRSS:\s+(\d+)/)?.[1]) / 1024
  }
}

/** The file of a program that lies beside the module which asks (`import.meta.url`). */
export const beside = (module: string, name: string): string => fileURLToPath(new URL(name, module))
