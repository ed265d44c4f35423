/**
 * Log lines of a process without Effect, in the form of its `Logger.consoleJson`, which the runners write beside it.
 */
import type { SupervisorSettings } from "./Messages.ts"

type Level = SupervisorSettings["logLevel"]

const order: ReadonlyArray<Level> = ["Debug", "Info", "Warn", "Error"]

/** Writes those of a level, and above it, to the standard output. */
export const write = (
  least: Level,
  level: Level,
  message: string,
  details: Readonly<Record<string, unknown>>
): void => {
  if (order.indexOf(level) < order.indexOf(least)) return
  const line = {
    message: [message, details],
    level: level.toUpperCase(),
    timestamp: new Date().toISOString(),
    annotations: {},
    spans: {},
    fiberId: "supervisor"
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
