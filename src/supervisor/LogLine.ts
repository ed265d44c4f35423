/**
 * Log lines of a process without Effect, in the form of its `Logger.consoleJson`, which the runners write beside it.
 */

export type Level = "INFO" | "WARN" | "ERROR"

export const write = (level: Level, message: string, details: Readonly<Record<string, unknown>>): void => {
  const line = {
    message: [message, details],
    level,
    timestamp: new Date().toISOString(),
    annotations: {},
    spans: {},
    fiberId: "supervisor"
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
