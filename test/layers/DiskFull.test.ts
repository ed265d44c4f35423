/** What is left behind, and what is said, when the disk is full. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type FileSystem, Logger, Metric, type Scope } from "effect"
import * as DiskTranscriptStore from "../../src/layers/DiskTranscriptStore.ts"
import * as PrivateFile from "../../src/layers/PrivateFile.ts"
import * as TranscriptSpool from "../../src/layers/TranscriptSpool.ts"
import { diskThat } from "../support/FullDisk.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const drill = (
  name: string,
  body: (scene: {
    readonly folder: string
    readonly disk: { isFull: boolean }
    readonly lines: ReadonlyArray<string>
  }) => Effect.Effect<void, unknown, FileSystem.FileSystem | Scope.Scope>
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const disk = { isFull: true }
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      yield* body({ folder, disk, lines }).pipe(Effect.provide([diskThat(disk), Logger.layer([logger])]))
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
  )

const transcript = (index: number) => ({ sessionId: `session ${index}`, endedAtMs: 1_734_273_022_000, lines: ["so"] })

describe("a full disk", () => {
  drill("leaves no draft of a private file, and the old one as it was", ({ disk, folder }) =>
    Effect.gen(function* () {
      const path = join(folder, "quotas.json")
      disk.isFull = false
      yield* PrivateFile.replace(path, "old")
      disk.isFull = true
      assert.isTrue((yield* Effect.exit(PrivateFile.replace(path, "new")))._tag === "Failure")
      assert.deepStrictEqual(readdirSync(folder), ["quotas.json"])
      assert.strictEqual(readFileSync(path, "utf8"), "old")
    })
  )

  drill("takes no transcript's name away: it is stored under it when there is room again", ({ disk, folder }) =>
    Effect.gen(function* () {
      const { put } = yield* DiskTranscriptStore.place(folder)
      const { detail } = yield* Effect.flip(put(transcript(1)))
      assert.strictEqual(detail, "the folder for transcripts cannot be written to (the disk is full)")
      assert.deepStrictEqual(readdirSync(folder), [])
      disk.isFull = false
      assert.strictEqual(yield* put(transcript(1)), "20241215_143022.txt")
    })
  )

  drill("is said once, and nobody is told that what is lost waits", ({ disk, folder, lines }) =>
    Effect.gen(function* () {
      const spool = join(folder, "spool")
      const place = yield* DiskTranscriptStore.place(join(folder, "out"))
      const { save } = yield* TranscriptSpool.make({ place, folder: spool })
      for (const index of [1, 2, 3]) assert.isFalse((yield* Effect.flip(save(transcript(index)))).isKept)
      assert.deepStrictEqual(lines, [
        `Transcripts cannot be kept in ${spool}: the disk is full. One that cannot be stored at once is lost.`,
        "Transcripts cannot be stored: the folder for transcripts cannot be written to (the disk is full). They are lost."
      ])
      disk.isFull = false
      yield* save(transcript(4))
      assert.deepStrictEqual(lines.slice(2), ["Transcripts are stored again."])
      assert.deepStrictEqual(readdirSync(spool), [])
    })
  )
})
