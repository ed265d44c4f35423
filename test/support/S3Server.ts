/**
 * s3rver, an S3 server that we did not write, as a process of its own: it can be stopped and started again on the same port, with what it holds.
 * It does not know conditional writes; `ConditionalS3` does.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3"
import { Effect, Schedule, type Scope } from "effect"
import { freePort } from "./ServiceProcess.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

/** The account it knows. */
export const credentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" }

export interface S3Server {
  readonly endpoint: string
  readonly start: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
  /** Keys in the bucket. */
  readonly keys: Effect.Effect<ReadonlyArray<string>>
  readonly object: (key: string) => Effect.Effect<{ readonly text: string; readonly type: string | undefined }>
}

const program = join(dirname(createRequire(import.meta.url).resolve("s3rver/package.json")), "bin/s3rver.js")

/** Runs until the scope closes, with one bucket. */
export const make = (bucket: string): Effect.Effect<S3Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const port = yield* freePort
    const endpoint = `http://127.0.0.1:${port}`
    let running: ChildProcess | undefined
    const start = Effect.suspend(() => {
      running = spawn(
        process.execPath,
        [program, "-d", folder, "-a", "127.0.0.1", "-p", String(port), "-s", "--configure-bucket", bucket],
        { stdio: "ignore" }
      )
      return Effect.promise(() => fetch(endpoint)).pipe(
        Effect.sandbox,
        Effect.retry({ times: 200, schedule: Schedule.spaced("50 millis") }),
        Effect.orDie,
        Effect.asVoid
      )
    })
    const stop = Effect.callback<void>((resume) => {
      if (running === undefined || running.exitCode !== null) return resume(Effect.void)
      running.once("exit", () => resume(Effect.void))
      running.kill("SIGKILL")
      running = undefined
    })
    yield* Effect.acquireRelease(start, () => stop)
    const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials })
    return {
      endpoint,
      start,
      stop,
      keys: Effect.promise(() => client.send(new ListObjectsV2Command({ Bucket: bucket }))).pipe(
        Effect.map(({ Contents = [] }) => Contents.flatMap(({ Key }) => Key ?? []))
      ),
      object: (key) =>
        Effect.promise(async () => {
          const { Body, ContentType } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
          return { text: (await Body?.transformToString()) ?? "", type: ContentType }
        })
    }
  })
