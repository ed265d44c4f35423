/**
 * Preloaded into the service where its heap is measured (`node --expose-gc --import`): on SIGUSR2 it collects garbage and writes how much
 * is still in use to the file named by PROOF_HEAP_FILE.
 */
import { writeFileSync } from "node:fs"

process.on("SIGUSR2", () => {
  globalThis.gc?.()
  globalThis.gc?.()
  writeFileSync(process.env["PROOF_HEAP_FILE"] ?? "/dev/null", String(process.memoryUsage().heapUsed))
})
