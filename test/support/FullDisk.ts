/** A disk that is full for as long as a test wants it. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, FileSystem, Layer, PlatformError } from "effect"

const full = PlatformError.systemError({
  _tag: "Unknown",
  module: "FileSystem",
  method: "writeAll",
  cause: Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" })
})

/** Files can be made, as on a real disk, and nothing can be written into them while it is full. */
export const diskThat = (disk: { isFull: boolean }) =>
  Layer.effect(
    FileSystem.FileSystem,
    FileSystem.FileSystem.use((files) =>
      Effect.succeed({
        ...files,
        open: (...args: Parameters<typeof files.open>) =>
          Effect.map(files.open(...args), (file) =>
            disk.isFull ? { ...file, writeAll: () => Effect.fail(full) } : file
          )
      })
    )
  ).pipe(Layer.provide(NodeFileSystem.layer))
