/** Journals of several processes in one folder: who may take what another has left, and that nobody takes it twice. */
import { copyFileSync, readdirSync, statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Queue, Redacted, Stream } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as FileSpeechJournal from "../../src/layers/FileSpeechJournal.ts"
import * as JournalFolder from "../../src/layers/JournalFolder.ts"
import type { UnsaidText } from "../../src/services/SpeechJournal.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const secret = Redacted.make("the-internal-secret")
const [one, other] = [RoomToken.make("one"), RoomToken.make("other")]
const text = (said: string): UnsaidText => ({
  voice: "video:ann:0",
  speaker: SessionId.make("ann"),
  texts: [said],
  ahead: ""
})
const fileOf = (name: string) => `speech-${name}.journal`

/** A runner's journal, and what it is told of who is gone. */
const runnerIn = Effect.fnUntraced(function* (storage: string, name: string) {
  const told = yield* Queue.unbounded<Incarnation>()
  const incarnation = Incarnation.make(name)
  const journal = yield* FileSpeechJournal.make({
    storage,
    secret,
    runner: { incarnation, gone: Stream.fromQueue(told) }
  })
  return {
    /** What there is of this room for a process that opens it. */
    open: Effect.fnUntraced(function* (room: RoomToken, before?: string) {
      const call = yield* journal.open(room)
      yield* journal.find?.(room, before === undefined ? undefined : Incarnation.make(before)) ?? Effect.void
      return { call, unsaid: call.take().unsaid }
    }),
    tell: (who: string) => Effect.andThen(Queue.offer(told, Incarnation.make(who)), Effect.sleep("20 millis"))
  }
})

const scene = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const dead = yield* runnerIn(folder, "dead")
  const first = yield* dead.open(one)
  const second = yield* dead.open(other)
  first.call.unsaid([text("of one")])
  second.call.unsaid([text("of the other")])
  const file = join(folder, fileOf("dead"))
  yield* until(() => readdirSync(folder).includes(fileOf("dead")) && statSync(file).size > 200)
  const add = (room: RoomToken, said: string) => Effect.map(dead.open(room), ({ call }) => call.unsaid([text(said)]))
  return { add, folder, file, files: () => readdirSync(folder) }
})

describe("what a runner left when it was killed", () => {
  it.live("is in a file of its own, that only we can read, and is not touched while it lives", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* scene
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const survivor = yield* runnerIn(folder, "survivor")
      assert.deepStrictEqual((yield* survivor.open(one)).unsaid, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is taken room by room, each once, by whoever opens the room, also when its slot runs again", () =>
    Effect.gen(function* () {
      const { folder } = yield* scene
      const [again, survivor] = [yield* runnerIn(folder, "again"), yield* runnerIn(folder, "survivor")]
      yield* again.tell("dead")
      yield* survivor.tell("dead")
      assert.deepStrictEqual((yield* again.open(one)).unsaid, [text("of one")])
      assert.deepStrictEqual((yield* survivor.open(one)).unsaid, [])
      assert.deepStrictEqual((yield* survivor.open(other)).unsaid, [text("of the other")])
      assert.deepStrictEqual((yield* again.open(other)).unsaid, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is read once for all rooms, and again when there is more of it", () =>
    Effect.gen(function* () {
      const { add, file, folder } = yield* scene
      // nobody touches that one
      const left = fileOf("left")
      copyFileSync(file, join(folder, left))
      const files = yield* FileSystem.FileSystem
      let reads = 0
      const readFile: typeof files.readFile = (path) => {
        reads++
        return files.readFile(path)
      }
      const journals = yield* JournalFolder.make(folder, Redacted.value(secret), fileOf("survivor")).pipe(
        Effect.provideService(FileSystem.FileSystem, { ...files, readFile })
      )
      const take = (room: RoomToken) =>
        Effect.map(
          journals.take(room, (name) => name === left),
          ({ unsaid }) => unsaid
        )
      const rooms = [RoomToken.make("third"), one, other]
      const taken = yield* Effect.forEach(rooms, take, { concurrency: "unbounded" })
      assert.deepStrictEqual(taken, [[], [text("of one")], [text("of the other")]])
      assert.strictEqual(reads, 1)
      const { size } = statSync(file)
      yield* add(RoomToken.make("third"), "of the third")
      yield* until(() => statSync(file).size > size)
      copyFileSync(file, join(folder, left))
      assert.deepStrictEqual(yield* take(RoomToken.make("third")), [text("of the third")])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is known by the seat that the room had, and by a file that nobody touches any more", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* scene
      const survivor = yield* runnerIn(folder, "survivor")
      assert.deepStrictEqual((yield* survivor.open(one, "dead")).unsaid, [text("of one")])
      const longAgo = new Date(Date.now() - 15_000)
      utimesSync(file, longAgo, longAgo)
      assert.deepStrictEqual((yield* survivor.open(other)).unsaid, [text("of the other")])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is in the survivor's own file then: a second kill loses nothing", () =>
    Effect.gen(function* () {
      const { folder, files } = yield* scene
      const survivor = yield* runnerIn(folder, "survivor")
      const { call, unsaid } = yield* survivor.open(one, "dead")
      call.unsaid(unsaid)
      yield* until(() => files().includes(fileOf("survivor")))
      yield* Effect.sleep("100 millis")
      const third = yield* runnerIn(folder, "third")
      assert.deepStrictEqual((yield* third.open(one, "survivor")).unsaid, [text("of one")])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is taken by a single process too, and what is old is removed with all its marks", () =>
    Effect.gen(function* () {
      const { file, files, folder } = yield* scene
      const survivor = yield* runnerIn(folder, "survivor")
      yield* survivor.open(one, "dead")
      const alone = yield* FileSpeechJournal.make({ storage: folder, secret })
      assert.deepStrictEqual((yield* alone.open(other)).take().unsaid, [text("of the other")])
      assert.isTrue(files().some((name) => name.endsWith(".taken")))
      const longAgo = new Date(Date.now() - 180_000)
      for (const name of files()) if (name.startsWith(fileOf("dead"))) utimesSync(join(folder, name), longAgo, longAgo)
      assert.isTrue(statSync(file).isFile())
      yield* runnerIn(folder, "next")
      yield* until(() => files().every((name) => !name.startsWith(fileOf("dead"))))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
