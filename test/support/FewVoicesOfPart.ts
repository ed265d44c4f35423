/**
 * The service, each process of which hears two voices of a call: several (`LT_RUNNERS`), or one. What several share has a file for each, named
 * after its incarnation, with the number of its process.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as SupervisedFront from "../../src/layers/SupervisedFront.ts"
import { run } from "../../src/Service.ts"
import { start } from "../../src/supervisor/Supervisor.ts"

export const VOICES = 2
export const program = fileURLToPath(import.meta.url)

/** Begins the name of such a file. */
export const PROCESS = "process-"

const runners = Number(process.env["LT_RUNNERS"])

if (process.argv[1] === program) {
  if (process.connected) {
    const supervised = await SupervisedFront.connect()
    const folder = process.env["APP_PERSISTENT_STORAGE"] ?? ""
    writeFileSync(join(folder, PROCESS + supervised.runner.incarnation), String(process.pid))
    run(supervised, { voicesOfPart: VOICES })
  } else if (runners > 1) {
    const { stop } = start({
      program: new URL(import.meta.url),
      atFirst: runners,
      most: runners,
      onEnd: (code) => process.exit(code)
    })
    process.on("SIGTERM", stop).on("SIGINT", stop)
  } else {
    run(undefined, { voicesOfPart: VOICES })
  }
}
