/**
 * The service as a process: one alone, or a supervisor with several runners (`LT_RUNNERS`).
 */
import { availableParallelism } from "node:os"
import { extname } from "node:path"

/** `AppConfig` reads it again, with all else, and refuses what it cannot be; a supervisor is too small to load that. */
const asked = process.env["LT_RUNNERS"]?.trim().toLowerCase() ?? ""
const isAuto = asked === "auto"
const runners = /^\d{1,9}$/.test(asked) ? Number(asked) : 1

if (isAuto || runners > 1) {
  const { start } = await import("./supervisor/Supervisor.ts")
  const { stop } = start({
    program: new URL(`./runner${extname(import.meta.filename)}`, import.meta.url),
    atFirst: isAuto ? 1 : runners,
    most: isAuto ? availableParallelism() : runners,
    onEnd: (code) => process.exit(code)
  })
  process.on("SIGTERM", stop).on("SIGINT", stop)
} else {
  const { run } = await import("./Service.ts")
  run()
}
