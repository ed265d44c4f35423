/**
 * Orphan: a runner that has lost its supervisor ends, also where nothing else of it runs any more. While there is a supervisor it ends a runner
 * that is stuck (in a loop, in writing a log that nobody reads, in its own end); without one nobody would, and the runner would keep its port,
 * its memory and its place in calls.
 */
import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import * as NativeAddon from "./NativeAddon.ts"

export interface Orphan {
  /** So long its end takes at most, in order or by its own force. */
  readonly endsWithin: (ms: number) => void
}

/** The same file, from the sources or from what they were compiled to. */
const THREAD = new URL(`./OrphanThread${extname(import.meta.filename)}`, import.meta.url)

/** In a process whose parent is its supervisor. The thread that does this holds up no end; where the addon has it, it needs no heap of its own. */
export const watch = (): Orphan => {
  const addon = NativeAddon.load()
  return typeof addon !== "string" && addon.watchParent(process.ppid) === 0
    ? { endsWithin: addon.endsWithin }
    : watchWithWorker()
}

const watchWithWorker = (): Orphan => {
  const thread = new Worker(THREAD, { env: {}, execArgv: [], workerData: process.ppid })
  thread.unref()
  // Then it is as it would be without: the supervisor is gone and this process ends in order.
  thread.on("error", () => {})
  return { endsWithin: (ms) => thread.postMessage(ms) }
}
