/**
 * The service as a process: one alone, or a supervisor with several runners (`LT_RUNNERS`).
 */
import { availableParallelism } from "node:os"
import { extname } from "node:path"
import * as RunnerCount from "./supervisor/RunnerCount.ts"

/** `AppConfig` reads it again, with all else, and says what is wrong with what it cannot be. */
const runners = RunnerCount.parse(process.env["LT_RUNNERS"]?.trim() ?? "") ?? 1

if (runners === "auto" || runners > 1) {
  const { start } = await import("./supervisor/Supervisor.ts")
  const { stop } = start({
    program: new URL(`./runner${extname(import.meta.filename)}`, import.meta.url),
    atFirst: runners === "auto" ? 1 : runners,
    most: runners === "auto" ? availableParallelism() : runners,
    onEnd: (code) => process.exit(code)
  })
  process.on("SIGTERM", stop).on("SIGINT", stop)
} else {
  const { run } = await import("./Service.ts")
  run()
}
