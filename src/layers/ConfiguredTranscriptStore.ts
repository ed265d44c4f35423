/**
 * ConfiguredTranscriptStore: where transcripts go by configuration: into a folder, a bucket, both, or nowhere.
 */
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, FileSystem, Layer, Result } from "effect"
import { Front } from "../services/Front.ts"
import { TranscriptStore, TranscriptStoreError } from "../services/TranscriptStore.ts"
import { type AppConfig, storageOf } from "./AppConfig.ts"
import * as DiskTranscriptStore from "./DiskTranscriptStore.ts"
import * as S3TranscriptStore from "./S3TranscriptStore.ts"

export type Settings = Pick<AppConfig, "awsRegion" | "s3Bucket" | "s3Endpoint" | "storage" | "transcriptDir">

/**
 * With a folder and a bucket both get every transcript, and the key is that of the bucket. Of several runners each keeps what waits in a folder
 * of its own; what is left in those of an earlier time the first process takes over.
 */
export const layer = (settings: Settings): Layer.Layer<TranscriptStore> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const front = yield* Front
      const { slot, isFirst } = front ?? { slot: 0, isFirst: true }
      const folder = join(storageOf(settings), "transcripts")
      if (isFirst) yield* Effect.forEach(["disk", "s3"], (place) => adopt(join(folder, place)), { discard: true })
      return storeIn(settings, (place) => (slot === 0 ? join(folder, place) : join(folder, place, `${RUNNER}${slot}`)))
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** Begins the names of folders of runners but the first, in that of the first. */
const RUNNER = "runner-"

/** Moves what waits in folders of runners into the folder; nobody else may be there. What cannot be moved stays. */
const adopt = Effect.fnUntraced(function* (folder: string) {
  const files = yield* FileSystem.FileSystem
  const namesIn = (path: string) => Effect.orElseSucceed(files.readDirectory(path), (): Array<string> => [])
  for (const runner of (yield* namesIn(folder)).filter((name) => name.startsWith(RUNNER))) {
    for (const name of yield* namesIn(join(folder, runner))) {
      yield* Effect.ignore(files.rename(join(folder, runner, name), join(folder, name)))
    }
  }
})

const storeIn = (settings: Settings, spool: (place: string) => string): Store => {
  const { awsRegion, s3Bucket, s3Endpoint, transcriptDir } = settings
  const disk =
    transcriptDir === undefined ? undefined : DiskTranscriptStore.layer({ folder: transcriptDir, spool: spool("disk") })
  const bucket =
    s3Bucket === undefined
      ? undefined
      : S3TranscriptStore.layer({
          bucket: s3Bucket,
          region: awsRegion ?? S3TranscriptStore.DEFAULT_REGION,
          endpoint: s3Endpoint,
          spool: spool("s3")
        })
  if (disk !== undefined && bucket !== undefined) return both(disk, bucket)
  return disk ?? bucket ?? nowhere
}

type Store = Layer.Layer<TranscriptStore>

/** Each has its own troubles; any of them is told. */
const both = (first: Store, second: Store): Store =>
  Layer.effect(
    TranscriptStore,
    Effect.gen(function* () {
      const one = Context.get(yield* Layer.build(first), TranscriptStore)
      const other = Context.get(yield* Layer.build(second), TranscriptStore)
      return {
        isConfigured: true,
        save: (transcript) =>
          Effect.all([Effect.result(one.save(transcript)), Effect.result(other.save(transcript))], {
            concurrency: 2
          }).pipe(
            Effect.flatMap(([here, there]) =>
              Result.isFailure(here) ? Effect.fromResult(here) : Effect.fromResult(there)
            )
          )
      }
    })
  )

const nowhere: Store = Layer.succeed(TranscriptStore, {
  isConfigured: false,
  save: () => Effect.fail(new TranscriptStoreError({ detail: "no place for transcripts is configured", isKept: false }))
})
