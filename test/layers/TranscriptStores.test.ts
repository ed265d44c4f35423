import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Metric, type Scope } from "effect"
import * as ConfiguredTranscriptStore from "../../src/layers/ConfiguredTranscriptStore.ts"
import * as DiskTranscriptStore from "../../src/layers/DiskTranscriptStore.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as S3TranscriptStore from "../../src/layers/S3TranscriptStore.ts"
import { Front } from "../../src/services/Front.ts"
import { type SessionTranscript, TranscriptStore } from "../../src/services/TranscriptStore.ts"
import * as AloneInFront from "../support/AloneInFront.ts"
import * as ConditionalS3 from "../support/ConditionalS3.ts"
import * as S3Server from "../support/S3Server.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

// the SDK looks for credentials in places outside this machine where the environment has none
process.env["AWS_ACCESS_KEY_ID"] = S3Server.credentials.accessKeyId
process.env["AWS_SECRET_ACCESS_KEY"] = S3Server.credentials.secretAccessKey

const BUCKET = "transcripts"
/** 15 December 2024, 14:30:22 UTC. */
const ENDED_AT = Date.UTC(2024, 11, 15, 14, 30, 22, 345)
const SECRETS = "a-secret-word"

const transcript = (
  index = 0,
  lines = [`${SECRETS} number ${index}`, "Zweite Zeile: äöü 日本"]
): SessionTranscript => ({
  sessionId: `5a3c0c1e-0000-4000-8000-${String(index).padStart(12, "0")}`,
  endedAtMs: ENDED_AT,
  lines
})

const store = (layer: Layer.Layer<TranscriptStore>) => Effect.map(Layer.build(layer), Context.get(TranscriptStore))

const soon = (holds: Effect.Effect<boolean>) =>
  holds.pipe(
    Effect.tap(() => Effect.sleep("20 millis")),
    Effect.repeat({ until: (it) => it }),
    Effect.timeout("60 seconds")
  )

/** Everything that was logged. */
const watched = <A, E, R>(effect: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(JSON.stringify(message))
    })
    return Effect.provide(effect(lines), Logger.layer([logger]))
  })

const promise = (name: string, body: (folder: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () =>
    temporaryFolder.pipe(Effect.flatMap(body), Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
  )

const counted = (metric: Metric.Counter<number>, place: string) =>
  Effect.map(Metric.value(Metric.withAttributes(metric, { place })), ({ count }) => count)
const waiting = (place: string) =>
  Effect.map(Metric.value(Metric.withAttributes(Metrics.transcriptsWaiting, { place })), ({ value }) => value)

describe("DiskTranscriptStore", () => {
  promise("writes a file that only we can read, named for the second in which the session ended", (root) =>
    Effect.gen(function* () {
      const folder = join(root, "made", "transcripts")
      const { isConfigured, save } = yield* store(DiskTranscriptStore.layer({ folder, spool: join(root, "spool") }))
      assert.isTrue(isConfigured)
      const key = yield* save(transcript(1, ["one", "two\nin two lines", "drei"]))
      assert.strictEqual(key, "20241215_143022.txt")
      assert.strictEqual(readFileSync(join(folder, key), "utf8"), "one\ntwo in two lines\ndrei\n")
      assert.strictEqual(statSync(join(folder, key)).mode & 0o777, 0o600)
      assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
      assert.deepStrictEqual(readdirSync(folder), [key])
      assert.deepStrictEqual(readdirSync(join(root, "spool")), [])
      assert.strictEqual(yield* counted(Metrics.transcriptsStored, "disk"), 1)
    })
  )

  promise("sessions that end in the same second all have a file, also of several processes", (folder) =>
    Effect.gen(function* () {
      const stores = yield* Effect.forEach(["a", "b", "c"], (spool) =>
        store(DiskTranscriptStore.layer({ folder: join(folder, "out"), spool: join(folder, spool) }))
      )
      const keys = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, index) => index),
        (index) => stores[index % 3]?.save(transcript(index)) ?? Effect.die("no store"),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(keys).size, 60)
      assert.deepStrictEqual([...keys].sort(), readdirSync(join(folder, "out")).sort())
      for (const [index, key] of keys.entries()) {
        assert.match(key, /^20241215_143022(_\d+)?\.txt$/)
        assert.include(readFileSync(join(folder, "out", key), "utf8"), `number ${index}\n`)
      }
    })
  )

  promise("a folder that cannot be written to costs nothing: it is kept, and written when it can be", (root) =>
    Effect.gen(function* () {
      const folder = join(root, "out")
      writeFileSync(folder, "in the way")
      const { save } = yield* store(
        DiskTranscriptStore.layer({ folder, spool: join(root, "spool"), firstRetry: "50 millis" })
      )
      const error = yield* Effect.flip(save(transcript()))
      assert.isTrue(error.isKept)
      assert.match(error.message, /the folder for transcripts cannot be written to.*kept and will be stored later/)
      rmSync(folder)
      yield* soon(Effect.sync(() => readdirOf(folder).includes("20241215_143022.txt")))
      assert.deepStrictEqual(readdirOf(folder), ["20241215_143022.txt"])
    })
  )

  promise("says so when it can be kept nowhere", (root) =>
    Effect.gen(function* () {
      for (const name of ["out", "spool"]) writeFileSync(join(root, name), "in the way")
      const { save } = yield* store(
        DiskTranscriptStore.layer({ folder: join(root, "out"), spool: join(root, "spool") })
      )
      const error = yield* Effect.flip(save(transcript()))
      assert.isFalse(error.isKept)
      assert.notInclude(error.message, "kept")
    })
  )
})

describe("S3TranscriptStore", () => {
  const options = (server: S3Server.S3Server, folder: string) => ({
    bucket: BUCKET,
    region: "us-east-1",
    endpoint: server.endpoint,
    credentials: S3Server.credentials,
    spool: join(folder, "spool"),
    firstRetry: "100 millis" as const
  })

  promise("puts an object of plain text in UTF-8", (folder) =>
    Effect.gen(function* () {
      const server = yield* S3Server.make(BUCKET)
      const { isConfigured, save } = yield* store(S3TranscriptStore.layer(options(server, folder)))
      assert.isTrue(isConfigured)
      const key = yield* save(transcript(3))
      assert.match(key, /^20241215_143022_[0-9a-f]{8}\.txt$/)
      assert.deepStrictEqual(yield* server.keys, [key])
      assert.deepStrictEqual(yield* server.object(key), {
        text: `${SECRETS} number 3\nZweite Zeile: äöü 日本\n`,
        type: "text/plain; charset=utf-8"
      })
      assert.deepStrictEqual(readdirOf(join(folder, "spool")), [])
    })
  )

  promise("sessions that end in the same second all have an object", (folder) =>
    Effect.gen(function* () {
      const server = yield* S3Server.make(BUCKET)
      const { save } = yield* store(S3TranscriptStore.layer(options(server, folder)))
      const all = Array.from({ length: 30 }, (_, index) => index)
      const keys = yield* Effect.forEach(all, (index) => save(transcript(index)), { concurrency: "unbounded" })
      assert.strictEqual(new Set(keys).size, 30)
      assert.sameMembers([...(yield* server.keys)], keys)
      for (const [index, key] of keys.entries()) assert.include((yield* server.object(key)).text, `number ${index}\n`)
    })
  )

  promise("where the store refuses to overwrite, only the second of a second gets a longer name", (folder) =>
    Effect.gen(function* () {
      const { endpoint, objects } = yield* ConditionalS3.make()
      const stores = yield* Effect.forEach(["a", "b"], (spool) =>
        store(
          S3TranscriptStore.layer({
            bucket: BUCKET,
            region: "us-east-1",
            endpoint,
            isConditional: true,
            credentials: S3Server.credentials,
            spool: join(folder, spool)
          })
        )
      )
      const keys = yield* Effect.forEach(stores, ({ save }, index) => save(transcript(index)))
      assert.strictEqual(keys[0], "20241215_143022.txt")
      assert.match(keys[1] ?? "", /^20241215_143022_[0-9a-f]{8}\.txt$/)
      assert.deepStrictEqual(
        keys.map((key) => /number (\d)/.exec(objects.get(key) ?? "")?.[1]),
        ["0", "1"]
      )
    })
  )

  for (const [what, change, said] of [
    ["a bucket that is missing", { bucket: "nowhere" }, "the bucket does not exist"],
    [
      "credentials of nobody",
      { credentials: { accessKeyId: "AKIDNOBODY", secretAccessKey: "S3RVER" } },
      "does not accept the credentials"
    ]
  ] as const)
    promise(`${what} is said in plain words, once, and nothing is lost`, (folder) =>
      watched((logged) =>
        Effect.gen(function* () {
          const server = yield* S3Server.make(BUCKET)
          const { save } = yield* store(S3TranscriptStore.layer({ ...options(server, folder), ...change }))
          for (const index of [1, 2]) {
            const error = yield* Effect.flip(save(transcript(index)))
            assert.include(error.message, said)
            assert.isTrue(error.isKept)
          }
          const spool = join(folder, "spool")
          const kept = readdirOf(spool)
          assert.strictEqual(kept.length, 2)
          assert.strictEqual(statSync(spool).mode & 0o777, 0o700)
          for (const name of kept) assert.strictEqual(statSync(join(spool, name)).mode & 0o777, 0o600)
          assert.strictEqual(yield* waiting("s3"), 2)
          assert.isAtLeast(yield* counted(Metrics.transcriptsFailed, "s3"), 2)
          assert.strictEqual(logged.filter((line) => line.includes(said)).length, 1)
          for (const secret of [SECRETS, "AKIDNOBODY"]) assert.notInclude(logged.join("\n"), secret)
        })
      )
    )

  for (const [status, code, said] of [
    [403, "SignatureDoesNotMatch", "does not accept the credentials"],
    [403, "AccessDenied", "lack the permission s3:PutObject"],
    [301, "PermanentRedirect", "in another region"],
    [503, "SlowDown", "overloaded"],
    [418, "SomethingNew", "refuses (SomethingNew)"]
  ] as const)
    promise(`${code} is said in plain words`, (folder) =>
      Effect.gen(function* () {
        const { endpoint } = yield* ConditionalS3.make({ status, code })
        const { save } = yield* store(
          S3TranscriptStore.layer({
            bucket: BUCKET,
            region: "us-east-1",
            endpoint,
            credentials: S3Server.credentials,
            spool: join(folder, "spool")
          })
        )
        const error = yield* Effect.flip(save(transcript()))
        assert.include(error.message, said)
        assert.notInclude(error.message, "arn:")
        assert.isTrue(error.isKept)
      })
    )

  promise("an outage is bridged: what was kept is stored when the store is back", (folder) =>
    watched((logged) =>
      Effect.gen(function* () {
        const server = yield* S3Server.make(BUCKET)
        const { save } = yield* store(S3TranscriptStore.layer(options(server, folder)))
        yield* save(transcript(0))
        yield* server.stop
        for (const index of [1, 2, 3]) assert.isTrue((yield* Effect.flip(save(transcript(index)))).isKept)
        yield* server.start
        yield* soon(Effect.map(server.keys, ({ length }) => length === 4))
        yield* soon(Effect.map(waiting("s3"), (count) => count === 0))
        const texts = yield* Effect.forEach(yield* server.keys, server.object)
        assert.sameMembers(
          texts.map(({ text }) => /number (\d)/.exec(text)?.[1]),
          ["0", "1", "2", "3"]
        )
        assert.strictEqual(yield* counted(Metrics.transcriptsStored, "s3"), 4)
        assert.strictEqual(logged.filter((line) => line.includes("stored again")).length, 1)
      })
    )
  )

  promise("what was kept when the process ended is stored by the next one", (folder) =>
    Effect.gen(function* () {
      const server = yield* S3Server.make(BUCKET)
      yield* server.stop
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { save } = yield* store(S3TranscriptStore.layer(options(server, folder)))
          yield* Effect.flip(save(transcript(1)))
          // cut off in the middle of the upload, unless it is refused before
          yield* Effect.ignore(Effect.timeoutOption(save(transcript(2)), "20 millis"))
        })
      )
      assert.strictEqual(readdirOf(join(folder, "spool")).length, 2)
      writeFileSync(join(folder, "spool", "20200101_000000_00000000.json"), "{")
      yield* server.start
      yield* store(S3TranscriptStore.layer(options(server, folder)))
      yield* soon(Effect.map(server.keys, ({ length }) => length === 2))
      // what cannot be read is left for somebody who can
      yield* soon(Effect.sync(() => readdirOf(join(folder, "spool")).length === 1))
    })
  )
})

describe("ConfiguredTranscriptStore", () => {
  const nothing = {
    awsRegion: undefined,
    s3Bucket: undefined,
    s3Endpoint: undefined,
    storage: undefined,
    transcriptDir: undefined
  }

  promise("stores nothing unless it was asked to", (folder) =>
    Effect.gen(function* () {
      const made = yield* store(ConfiguredTranscriptStore.layer({ ...nothing, storage: folder }))
      assert.isFalse(made.isConfigured)
      assert.isFalse((yield* Effect.flip(made.save(transcript()))).isKept)
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )

  promise("a folder", (folder) =>
    Effect.gen(function* () {
      const { save } = yield* store(
        ConfiguredTranscriptStore.layer({ ...nothing, storage: folder, transcriptDir: join(folder, "out") })
      )
      assert.deepStrictEqual([yield* save(transcript())], readdirSync(join(folder, "out")))
    })
  )

  promise("of a runner keeps what waits in a folder of its own, which the next first process takes over", (folder) =>
    Effect.gen(function* () {
      const [out, spool] = [join(folder, "out"), join(folder, "transcripts/disk")]
      const settings = { ...nothing, storage: folder, transcriptDir: out }
      // What is a file takes no files.
      writeFileSync(out, "")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { save } = yield* store(
            Layer.provide(ConfiguredTranscriptStore.layer(settings), Layer.succeed(Front, AloneInFront.make(1)))
          )
          assert.isTrue((yield* Effect.flip(save(transcript()))).isKept)
        })
      )
      assert.deepStrictEqual(readdirSync(spool), ["runner-1"])
      rmSync(out)
      yield* store(ConfiguredTranscriptStore.layer(settings))
      yield* soon(Effect.sync(() => readdirOf(out).length === 1 && readdirOf(join(spool, "runner-1")).length === 0))
    })
  )

  promise("a folder and a bucket both get it; what one has not got it gets later", (folder) =>
    Effect.gen(function* () {
      mkdirSync(join(folder, "out"))
      const { save } = yield* store(
        ConfiguredTranscriptStore.layer({
          ...nothing,
          storage: folder,
          transcriptDir: join(folder, "out"),
          s3Bucket: BUCKET,
          s3Endpoint: "http://127.0.0.1:1"
        })
      ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      const error = yield* Effect.flip(Effect.timeout(save(transcript()), "15 seconds"))
      assert.include(String(error), "will be stored later")
      assert.deepStrictEqual(readdirSync(join(folder, "out")), ["20241215_143022.txt"])
      assert.strictEqual(readdirOf(join(folder, "transcripts", "s3")).length, 1)
    })
  )
})

/** Empty where there is no such folder. */
const readdirOf = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
