/** A SQLite file that several runners of a machine share: what one of them cannot do to the others. */
import { spawn } from "node:child_process"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { Everyone, type Intent, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import * as KeptDatabase from "../../src/layers/KeptDatabase.ts"
import * as StoredIntents from "../../src/layers/StoredIntents.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const intentOf = (room: string): Intent => ({
  room: RoomToken.make(room),
  viewer: Everyone,
  language: LanguageId.make("en")
})

const newFile = Effect.map(temporaryFolder, (folder) => join(folder, "calls.sqlite"))

/** As a runner has it, with one room of its own. */
const begun = Effect.fnUntraced(function* (file: string, room: string) {
  const lines: Array<string> = []
  const database = yield* Database.make({ _tag: "File", file, isShared: true })
  const { sql } = database
  const intents = yield* StoredIntents.make(database, { mine: () => sql`SELECT ${room} AS room` })
  const kept = yield* KeptDatabase.make({
    database,
    consequence: "Captions go on.",
    prepare: Effect.andThen(
      database.migrate([{ table: "calls_migrations", loader: IntentRows.migrations }]),
      Effect.suspend(() => Effect.asVoid(intents.loadRoom(RoomToken.make(room))))
    ),
    write: intents.write
  }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
  intents.record(intentOf(room), true)
  kept.wantWrite()
  return { database, intents, kept, lines }
})

const roomsIn = (file: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { open, sql } = yield* Database.make({ _tag: "File", file, isShared: true })
      yield* open
      return (yield* sql<{ room: string }>`SELECT room FROM call_intents ORDER BY room`).map(({ room }) => room)
    })
  )

/** Another process that has begun to write to the file, and then says nothing more. */
const holder = (file: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ readonly kill: Effect.Effect<void> }>((resolve) => {
          const child = spawn(process.execPath, [
            "--input-type=module",
            "-e",
            `import { DatabaseSync } from "node:sqlite"
             new DatabaseSync(${JSON.stringify(file)}).exec("BEGIN IMMEDIATE")
             process.stdout.write("holds it")
             setInterval(() => {}, 1000)`
          ])
          child.stdout.once("data", () => {
            child.kill("SIGSTOP")
            resolve({ kill: Effect.sync(() => void child.kill("SIGKILL")) })
          })
        })
    ),
    ({ kill }) => kill
  )

describe("a file that runners share", () => {
  it.live("is written to again the moment a process is killed that was frozen while it wrote", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const { database, intents, kept } = yield* begun(file, "a")
      yield* until(() => kept.state()._tag === "Open")
      yield* intents.written
      const { kill } = yield* holder(file)
      intents.record({ ...intentOf("a"), language: LanguageId.make("fr") }, true)
      kept.wantWrite()
      yield* until(() => kept.state()._tag === "Unusable")
      assert.strictEqual(
        kept.advice(),
        `${file} cannot be used: another process holds it for too long. Captions go on.`
      )
      assert.strictEqual((yield* database.sql`SELECT * FROM call_intents`).length, 1)
      yield* kill
      yield* until(() => kept.state()._tag === "Open")
      yield* intents.written
      assert.deepStrictEqual(yield* database.sql`SELECT language FROM call_intents`.values, [["fr"]])
    })
  )

  it.live("is not for a process that wants it for itself, nor the other way round", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const shared = yield* Database.make({ _tag: "File", file, isShared: true })
      const alone = yield* Database.make({ _tag: "File", file, isShared: false })
      yield* shared.open
      const refused = yield* Effect.flip(alone.open)
      assert.strictEqual(alone.troubleOf(refused).kind, "Taken")
      yield* shared.close
      yield* alone.open
      assert.strictEqual(shared.troubleOf(yield* Effect.flip(shared.open)).kind, "Taken")
      yield* alone.close
      yield* shared.open
    })
  )

  it.live("that is damaged is put aside once, and what each of them knows is in the new one", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      writeFileSync(file, "no database".repeat(1000))
      const runners = yield* Effect.forEach(["a", "b", "c"], (room) => begun(file, room), { concurrency: "unbounded" })
      yield* until(() => runners.every(({ kept }) => kept.state()._tag === "Open"))
      for (const { intents } of runners) yield* intents.written
      assert.deepStrictEqual(yield* roomsIn(file), ["a", "b", "c"])
      assert.strictEqual(readdirSync(dirname(file)).filter((name) => name.includes("-damaged-")).length, 1)
    })
  )

  it.live("that one of them puts aside while others work with it is found anew by all", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const runners = yield* Effect.forEach(["a", "b"], (room) => begun(file, room))
      yield* until(() => runners.every(({ kept }) => kept.state()._tag === "Open"))
      for (const { intents } of runners) yield* intents.written
      const before = statSync(file).ino
      const other = yield* Database.make({ _tag: "File", file, isShared: true })
      yield* other.open
      yield* other.putAside ?? Effect.void
      yield* other.open
      // that it was put aside, and that it can be used now
      yield* until(() => runners.every(({ lines }) => lines.length === 2))
      assert.notStrictEqual(statSync(file).ino, before)
      for (const { intents } of runners) yield* intents.written
      assert.deepStrictEqual(yield* roomsIn(file), ["a", "b"])
    })
  )
})
