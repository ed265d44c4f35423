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

export interface ServiceProcess {
  readonly child: ChildProcess
  /** All of the standard output and error so far. */
  readonly output: () => string
  readonly exit: Effect.Effect<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** Waits until the output has this. */
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
      const keep = (chunk: Buffer) => {
        output += chunk.toString("utf8")
      }
      child.stdout.on("data", keep)
      child.stderr.on("data", keep)
      const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
        child.on("close", (code, signal) => {
          rmSync(folder, { recursive: true, force: true })
          resolve({ code, signal })
        })
      })
      const says = (text: string) =>
        Effect.sync(() => output.includes(text)).pipe(
          Effect.repeat({ until: (isThere) => isThere, schedule: Schedule.spaced("20 millis") }),
          Effect.asVoid
        )
      return { child, output: () => output, exit: Effect.promise(() => exited), says }
    }),
    ({ child, exit }) => {
      if (child.exitCode !== null || child.signalCode !== null) return Effect.void
      child.kill("SIGKILL")
      return Effect.asVoid(exit)
    }
  )

/** A port nobody listens on now. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})
