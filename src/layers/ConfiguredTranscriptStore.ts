/**
 * ConfiguredTranscriptStore: where transcripts go by configuration: into a folder, a bucket, both, or nowhere.
 */
import { join } from "node:path"
import { Context, Effect, Layer, Result } from "effect"
import { TranscriptStore, TranscriptStoreError } from "../services/TranscriptStore.ts"
import { type AppConfig, storageOf } from "./AppConfig.ts"
import * as DiskTranscriptStore from "./DiskTranscriptStore.ts"
import * as S3TranscriptStore from "./S3TranscriptStore.ts"

export type Settings = Pick<AppConfig, "awsRegion" | "s3Bucket" | "s3Endpoint" | "storage" | "transcriptDir">

/** With a folder and a bucket both get every transcript, and the key is that of the bucket. */
export const layer = (settings: Settings): Layer.Layer<TranscriptStore> => {
  const { awsRegion, s3Bucket, s3Endpoint, transcriptDir } = settings
  const spool = (place: string) => join(storageOf(settings), "transcripts", place)
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
