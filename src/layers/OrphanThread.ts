/**
 * The thread of `Orphan`: ends this process by force when its supervisor has been gone for longer than its end may take.
 */
import { parentPort, workerData } from "node:worker_threads"

const LOOK_MS = 1000

const supervisor: unknown = workerData
let graceMs = Number.POSITIVE_INFINITY
let aloneSinceMs: number | undefined

parentPort?.on("message", (ms: unknown) => {
  if (typeof ms === "number") graceMs = ms
})

setInterval(() => {
  if (process.ppid === supervisor) return
  aloneSinceMs ??= performance.now()
  // Not `exit`: that waits for other threads.
  if (performance.now() - aloneSinceMs >= graceMs) process.kill(process.pid, "SIGKILL")
}, LOOK_MS)
