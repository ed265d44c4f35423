/**
 * RunFolder: where a run keeps its logs, and the end of the process that does the work inside the namespaces.
 */
import type { ChildProcess } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"

const RUNS_KEPT = 5

/** A folder for this run; those of the last few are kept, and those of runs that go on. */
export const freshFolder = (root: string): string => {
  mkdirSync(root, { recursive: true })
  const over = readdirSync(root).filter((name) => !existsSync(`/proc/${name.split("-").at(-1)}`))
  for (const old of over.sort().slice(0, -RUNS_KEPT)) rmSync(join(root, old), { recursive: true, force: true })
  const folder = join(root, `${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}-${process.pid}`)
  mkdirSync(folder)
  return folder
}

/** Waits for the end of a process; gives its exit code. */
export const ended = (child: ChildProcess) =>
  Effect.callback<number>((resume) => {
    const code = () => resume(Effect.succeed(child.exitCode ?? 128))
    if (child.exitCode !== null || child.signalCode !== null) code()
    else child.once("exit", code)
  })
