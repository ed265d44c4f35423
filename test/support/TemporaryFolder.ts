/** A folder of a test's own, gone with the scope. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "parlance-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
