/**
 * DiskTranscriptStore: transcripts as files in a folder.
 */
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { type Duration, Effect, FileSystem, Layer } from "effect"
import { type SessionTranscript, TranscriptStore } from "../services/TranscriptStore.ts"
import { wordsOf } from "./DiskTrouble.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { fileOf, PlaceError, stampOf, type TranscriptPlace } from "./TranscriptPlace.ts"
import * as TranscriptSpool from "./TranscriptSpool.ts"

export interface Options {
  /** Made, for us alone, where it is missing. */
  readonly folder: string
  /** Where transcripts are kept that could not be written there. */
  readonly spool: string
  /** See `TranscriptSpool`. */
  readonly firstRetry?: Duration.Input
}

/** More sessions than can end in one second. */
const MOST_ALIKE = 10_000

/**
 * Files that only we can read, whole or not at all, named for the second a session ended; where there is one of that name, `_2`, `_3` …
 * is put behind it, also when several processes share the folder.
 */
export const layer = ({ folder, spool, ...retry }: Options): Layer.Layer<TranscriptStore> =>
  Layer.effect(
    TranscriptStore,
    Effect.flatMap(place(folder), (made) => TranscriptSpool.make({ ...retry, place: made, folder: spool }))
  ).pipe(Layer.provide(NodeFileSystem.layer))

export const place = Effect.fnUntraced(function* (folder: string) {
  const files = yield* FileSystem.FileSystem

  /** Who holds the draft of a name is the only one who may give a file that name. `false`: somebody else does, or has. */
  const write = (name: string, bytes: Uint8Array) => {
    const draft = join(folder, `.${name}.new`)
    const held = Effect.scoped(
      Effect.gen(function* () {
        const file = yield* files.open(draft, { flag: "wx", mode: 0o600 })
        // a name whose draft stays is never free again
        yield* Effect.andThen(file.writeAll(bytes), file.sync).pipe(
          Effect.onError(() => Effect.ignore(files.remove(draft)))
        )
      })
    )
    const isTaken = Effect.succeed(false)
    return held.pipe(
      Effect.andThen(files.exists(join(folder, name))),
      Effect.flatMap((exists) =>
        exists ? Effect.andThen(files.remove(draft), isTaken) : Effect.as(files.rename(draft, join(folder, name)), true)
      ),
      Effect.catchTag("PlatformError", (error) =>
        error.reason._tag === "AlreadyExists" ? isTaken : Effect.fail(error)
      )
    )
  }

  const put = Effect.fn("DiskTranscriptStore.put")(function* (transcript: SessionTranscript) {
    const bytes = new TextEncoder().encode(fileOf(transcript))
    yield* PrivateFile.makeFolder(folder)
    for (let count = 1; count <= MOST_ALIKE; count++) {
      const name = `${stampOf(transcript)}${count === 1 ? "" : `_${count}`}.txt`
      if (yield* write(name, bytes)) return name
    }
    return yield* new PlaceError({ detail: "too many transcripts of the same second" })
  })

  const made: TranscriptPlace = {
    name: "disk",
    put: (transcript) =>
      put(transcript).pipe(
        Effect.provideService(FileSystem.FileSystem, files),
        Effect.catchTag("PlatformError", (error) =>
          Effect.fail(new PlaceError({ detail: `the folder for transcripts cannot be written to (${wordsOf(error)})` }))
        )
      )
  }
  return made
})
