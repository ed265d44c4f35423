/**
 * Small files that only we read: they are there whole or not at all, and nobody else on the machine can open them.
 */
import { dirname } from "node:path"
import { Effect, FileSystem } from "effect"

/** Makes the folder, and those above it, where it is missing; only we may enter one that was made here. */
export const makeFolder = Effect.fnUntraced(function* (folder: string) {
  const files = yield* FileSystem.FileSystem
  yield* files.makeDirectory(folder, { recursive: true, mode: 0o700 })
})

/** Writes the file anew. Readers, also after a power cut, find the old text or the new one, and nothing else is left. One writer at a time. */
export const replace = Effect.fnUntraced(function* (path: string, text: string) {
  const files = yield* FileSystem.FileSystem
  yield* makeFolder(dirname(path))
  const draft = `${path}.new`
  // One left behind by a crash may have other permissions.
  yield* files.remove(draft, { force: true })
  const written = Effect.scoped(
    Effect.gen(function* () {
      const file = yield* files.open(draft, { flag: "wx", mode: 0o600 })
      yield* file.writeAll(new TextEncoder().encode(text))
      yield* file.sync
    })
  )
  yield* Effect.andThen(written, files.rename(draft, path)).pipe(
    Effect.onError(() => Effect.ignore(files.remove(draft, { force: true })))
  )
})
