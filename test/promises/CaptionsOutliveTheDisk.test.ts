/**
 * Whatever is wrong with the file of who wants captions: the log says it once, the status says it, and captions go on.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Everyone, RoomToken } from "../../src/domain/Call.ts"
import { room, wish } from "../support/CallPhases.ts"
import * as CallScene from "../support/CallScene.ts"
import * as StoredCalls from "../support/StoredCalls.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

/** ms; a file that cannot be used is tried again every 5 s. */
const patience = 120_000
const other = RoomToken.make("other")

/** A folder that a process has left behind in which the captions of one room are wanted. */
const used = Effect.gen(function* () {
  const folder = join(yield* temporaryFolder, "storage")
  const process = yield* StoredCalls.boot(folder)
  yield* process.calls.start(wish)
  yield* StoredCalls.captions(process)
  yield* process.end
  return folder
})

const damaged = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("calls.sqlite-damaged-"))

/** The file is put aside as it was, a new one takes its place, and what is asked for from now on is in it. */
const startsAnew = (folder: string) =>
  Effect.gen(function* () {
    const process = yield* StoredCalls.boot(folder)
    yield* process.calls.start({ ...wish, room: other })
    yield* StoredCalls.captions(process, 1, other)
    const [aside, ...more] = damaged(folder)
    assert.match(aside ?? "", /^calls\.sqlite-damaged-\d{8}T\d{6}Z$/)
    assert.deepStrictEqual(more, [])
    assert.strictEqual(process.lines.filter((line) => line.includes("is damaged")).length, 1)
    assert.isUndefined((yield* process.calls.list)[0]?.advice)
    yield* process.end
    const next = yield* StoredCalls.boot(folder)
    yield* StoredCalls.captions(next, 1, other)
    assert.deepStrictEqual(next.lines, [])
    return readFileSync(join(folder, aside ?? ""))
  })

describe("a damaged file is put aside, said in the log, and captions go on with a new one:", () => {
  const damages: Readonly<Record<string, (file: string) => void>> = {
    "something else under its name": (file) => writeFileSync(file, "not what SQLite writes\n".repeat(2000)),
    "half of it": (file) => truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096),
    "torn within a page": (file) => truncateSync(file, statSync(file).size - 3 * 4096 - 1500),
    "pages of zeros": (file) => {
      const content = readFileSync(file)
      writeFileSync(file, content.fill(0, 4096))
    }
  }
  for (const [what, damage] of Object.entries(damages)) {
    it.live(what, () =>
      Effect.gen(function* () {
        const folder = yield* used
        damage(StoredCalls.fileIn(folder))
        const content = readFileSync(StoredCalls.fileIn(folder))
        assert.isTrue(content.equals(yield* startsAnew(folder)))
      })
    )
  }

  it.live("tables that are not ours", () =>
    Effect.gen(function* () {
      const folder = yield* used
      yield* StoredCalls.inFile(folder, (sql) =>
        Effect.andThen(sql`DROP TABLE call_intents`, sql`CREATE TABLE call_intents (what TEXT)`)
      )
      yield* startsAnew(folder)
    })
  )
})

describe("a file that is whole, though nobody closed it,", () => {
  /** As kill -9 leaves it: copied while a process has it. */
  const killed = Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const process = yield* StoredCalls.boot(join(folder, "before"))
    yield* process.calls.start(wish)
    yield* StoredCalls.captions(process)
    yield* process.calls.start({ ...wish, room: other, viewer: Everyone })
    cpSync(join(folder, "before"), join(folder, "after"), { recursive: true })
    yield* process.end
    return join(folder, "after")
  })

  it.live("has every wish that was acknowledged", () =>
    Effect.gen(function* () {
      const folder = yield* killed
      const process = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(process)
      yield* StoredCalls.captions(process, 1, other)
      assert.deepStrictEqual(process.lines, [])
    })
  )

  it.live("has those before the tear, when its log is torn", () =>
    Effect.gen(function* () {
      const folder = yield* killed
      const log = `${StoredCalls.fileIn(folder)}-wal`
      truncateSync(log, statSync(log).size - 2000)
      const process = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(process)
      assert.deepStrictEqual(damaged(folder), [])
    })
  )

  it.live("is good without its log, and with a log of garbage", () =>
    Effect.gen(function* () {
      for (const spoil of [(log: string) => rmSync(log), (log: string) => writeFileSync(log, "garbage".repeat(1000))]) {
        const folder = yield* killed
        spoil(`${StoredCalls.fileIn(folder)}-wal`)
        const process = yield* StoredCalls.boot(folder)
        yield* process.calls.start(wish)
        yield* StoredCalls.captions(process)
        assert.isUndefined((yield* process.calls.list)[0]?.advice)
      }
    })
  )
})

describe("where there can be no file", () => {
  it.live(
    "captions go on in memory, and what is wanted is in the file as soon as there can be one",
    () =>
      Effect.gen(function* () {
        const folder = join(yield* temporaryFolder, "storage")
        writeFileSync(folder, "a file where a folder should be")
        const process = yield* StoredCalls.boot(folder)
        yield* process.calls.start(wish)
        yield* StoredCalls.captions(process)
        const [call] = yield* process.calls.list
        const says = `${StoredCalls.fileIn(folder)} cannot be used: a file is where a folder should be.`
        assert.strictEqual(
          call?.advice,
          `${says} Captions go on, but who has asked for them is forgotten if this process ends now.`
        )
        rmSync(folder)
        mkdirSync(folder)
        yield* CallScene.until(() => Effect.map(process.calls.list, ([one]) => one?.advice === undefined))
        yield* process.calls.start({ ...wish, room: other })
        yield* process.end
        assert.deepStrictEqual(
          process.lines.filter((line) => line.includes("calls.sqlite")).map((line) => line.slice(0, says.length)),
          [says, `${StoredCalls.fileIn(folder)} can be used now`]
        )
        const next = yield* StoredCalls.boot(folder)
        yield* StoredCalls.captions(next)
        yield* StoredCalls.captions(next, 1, other)
      }),
    patience
  )

  it.live("a call that is over ends as ever", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "storage")
      writeFileSync(folder, "a file where a folder should be")
      const process = yield* StoredCalls.boot(folder)
      yield* process.calls.start(wish)
      yield* StoredCalls.captions(process)
      assert.isTrue(yield* process.calls.end(room))
      yield* CallScene.until(() => Effect.map(process.calls.list, (all) => all.length === 0))
      assert.strictEqual(process.phases.present(room), 0)
    })
  )
})
