/**
 * The service as its users run it: a process with an environment, log lines, an exit code.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, type Scope } from "effect"
import * as LeftBehind from "./LeftBehind.ts"

export interface ServiceProcess {
  readonly child: ChildProcess
  /** All of the standard output and error so far. */
  readonly output: () => string
  readonly exit: Effect.Effect<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** Waits until the output has this; dies if the process ends before. */
  readonly says: (text: string) => Effect.Effect<void>
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** Starts it with nothing but this environment, and a folder of its own for what it keeps; both are gone with the scope. */
export const start = (
  environment: Record<string, string>,
  program = main
): Effect.Effect<ServiceProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let output = ""
      const folder = mkdtempSync(join(tmpdir(), "parlance-"))
      const child = spawn(process.execPath, [program], {
        env: { PATH: process.env["PATH"] ?? "", APP_PERSISTENT_STORAGE: folder, ...environment }
      })
      const { release } = LeftBehind.watch(child.pid ?? 0)
      const keep = (chunk: Buffer) => {
        output += chunk.toString("utf8")
      }
      child.stdout.on("data", keep)
      child.stderr.on("data", keep)
      const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
        child.on("close", (code, signal) => {
          hasEnded = true
          release()
          rmSync(folder, { recursive: true, force: true })
          resolve({ code, signal })
        })
      })
      let hasEnded = false
      const says = (text: string) =>
        Effect.suspend(() =>
          output.includes(text) || !hasEnded
            ? Effect.succeed(output.includes(text))
            : Effect.die(new Error(`it has ended without saying "${text}":\n${output}`))
        ).pipe(Effect.repeat({ until: (isThere) => isThere, schedule: Schedule.spaced("20 millis") }), Effect.asVoid)
      return { child, output: () => output, exit: Effect.promise(() => exited), says }
    }),
    ({ child, exit }) => {
      if (child.exitCode !== null || child.signalCode !== null) return Effect.void
      child.kill("SIGKILL")
      return Effect.asVoid(exit)
    }
  )

/** Below the ports that systems give to who connects, above those of services that are known. */
const FIRST_PORT = 10_000
const LAST_PORT = 32_000

/** A port nobody listens on now, and which nobody is given who asks for any: somebody else has it soon only by the same dice. */
export const freePort: Effect.Effect<number> = Effect.callback<number | undefined>((resume) => {
  const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
  const server = createServer()
  server.on("error", () => resume(Effect.undefined))
  server.listen(port, () => server.close(() => resume(Effect.succeed(port))))
}).pipe(
  Effect.repeat({ until: (port) => port !== undefined }),
  Effect.map((port) => port ?? 0)
)
