/**
 * Whether a file that an admin may change is still the one that was read.
 */
import { Effect, FileSystem, Option } from "effect"

/** Another text whenever the file was written, replaced, given other permissions, or lost; also through a symbolic link. */
export const versionOf = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  return yield* files.stat(path).pipe(
    Effect.map(({ ino, mode, mtime, size }) =>
      [Option.getOrElse(ino, () => 0n), size, mode, Option.getOrElse(mtime, () => new Date(0)).getTime()].join(" ")
    ),
    Effect.orElseSucceed(() => "gone")
  )
})
