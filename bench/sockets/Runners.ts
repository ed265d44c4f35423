/**
 * A service of several processes (`LT_RUNNERS`), measured as one.
 */
import { readFileSync } from "node:fs"
import { Effect, Schedule } from "effect"
import * as Processes from "../process/Processes.ts"

export interface Together extends Pick<Processes.Measured, "cpu" | "residentMb"> {
  /** The first, and those that it has started and that are there now. */
  readonly processes: () => ReadonlyArray<Processes.Measured>
}

/** Everything a process and those that it started use: those that are there when it is asked. */
export const together = (first: Processes.Measured): Together => {
  const processes = () => [
    first,
    ...childrenOf(first.child.pid ?? 0).map((pid) => ({ ...first, ...Processes.ofPid(pid) }))
  ]
  return {
    processes,
    cpu: () =>
      processes()
        .map(({ cpu }) => cpu())
        .reduce((sum, one) => ({ userMs: sum.userMs + one.userMs, systemMs: sum.systemMs + one.systemMs })),
    residentMb: () => processes().reduce((sum, { residentMb }) => sum + residentMb(), 0)
  }
}

/** Waits until all of them take connections; the first of them does. */
export const areThere = (service: Processes.Measured, runners: number) =>
  Effect.sync(() => service.output().split("takes its share").length).pipe(
    Effect.repeat({ until: (count) => count >= runners, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () =>
        Effect.fail(new Processes.ProcessError({ detail: `not all runners are there:\n${service.output()}` }))
    })
  )

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)
