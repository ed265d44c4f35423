import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Everyone, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { room, viewer, wish } from "../support/CallPhases.ts"
import * as CallScene from "../support/CallScene.ts"
import * as StoredCalls from "../support/StoredCalls.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

/** Long enough for a message, or for the look at those whom no message has woken. */
const aWhile = Effect.sleep("2500 millis")
const french = LanguageId.make("fr")

const rows = (folder: string) => StoredCalls.inFile(folder, (sql) => sql`SELECT room, viewer FROM call_intents`.values)
const messages = (folder: string) =>
  StoredCalls.inFile(folder, (sql) => sql`SELECT entity_id, processed FROM cluster_messages`.values)

describe("ClusterCalls", () => {
  it.live("join again, after a restart, every call that was wanted, in its language and for the same viewers", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const other = RoomToken.make("other")
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* first.calls.start({ room: other, viewer: Everyone, language: french })
      yield* StoredCalls.captions(first)
      yield* StoredCalls.captions(first, 1, other)
      yield* first.end
      assert.strictEqual(first.phases.present(room), 0)
      assert.deepStrictEqual(yield* messages(folder), [
        [room, 0],
        [other, 0]
      ])

      const second = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(second)
      yield* StoredCalls.captions(second, 1, other)
      const languages = Object.fromEntries((yield* second.calls.list).map((call) => [call.room, call.language]))
      assert.deepStrictEqual(languages, { [room]: "en", [other]: "fr" })
      yield* aWhile
      assert.strictEqual(second.phases.joins(), 2)
    })
  )

  it.live("hear a room in the language that was chosen last, whoever chose it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start({ ...wish, viewer: participant(NextcloudSessionId.make("nc-zoe")) })
      yield* Effect.sleep("5 millis")
      yield* first.calls.start({ ...wish, language: french })
      yield* first.end
      const second = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(second, 2)
      assert.strictEqual((yield* second.calls.list)[0]?.language, french)
      yield* second.calls.setLanguage(room, LanguageId.make("en"))
      yield* second.end
      const third = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(third, 2)
      assert.strictEqual((yield* third.calls.list)[0]?.language, "en")
    })
  )

  for (const [what, leave] of Object.entries({
    "switched off": ({ calls }: StoredCalls.Process) => calls.stop(room, viewer),
    "ended for all": ({ calls }: StoredCalls.Process) => calls.end(room),
    "ended with all others": ({ calls }: StoredCalls.Process) => calls.endAll
  })) {
    it.live(`do not come back when they were ${what}, and leave nothing in the file`, () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const first = yield* StoredCalls.boot(folder)
        yield* first.calls.start(wish)
        yield* StoredCalls.captions(first)
        yield* leave(first)
        yield* CallScene.until(() => Effect.map(first.calls.list, (all) => all.length === 0))
        yield* first.end
        assert.deepStrictEqual(yield* rows(folder), [])
        const second = yield* StoredCalls.boot(folder)
        yield* aWhile
        assert.strictEqual(second.phases.joins(), 0)
        yield* second.end
        assert.deepStrictEqual(yield* messages(folder), [])
      })
    )
  }

  it.live("are not brought back by a message without an intent", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* StoredCalls.captions(first)
      yield* first.end
      yield* StoredCalls.inFile(folder, (sql) => sql`DELETE FROM call_intents`)
      const second = yield* StoredCalls.boot(folder)
      yield* aWhile
      assert.strictEqual(second.phases.joins(), 0)
      yield* second.end
      assert.deepStrictEqual(yield* messages(folder), [[room, 1]])
    })
  )

  it.live("are left, and forgotten in the file, when the call has ended before the restart", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* StoredCalls.captions(first)
      yield* first.end
      const second = yield* StoredCalls.boot(folder, { isDeserted: true })
      yield* CallScene.until(() => Effect.sync(() => second.phases.joins() === 1))
      yield* CallScene.until(() => Effect.map(second.calls.list, (all) => all.length === 0))
      assert.strictEqual(second.phases.present(room), 0)
      yield* second.end
      assert.deepStrictEqual(yield* rows(folder), [])
    })
  )

  it.live("come back when the crash came between the intent and the message", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* StoredCalls.captions(first)
      yield* first.end
      yield* StoredCalls.inFile(folder, (sql) => sql`DELETE FROM cluster_messages`)
      const second = yield* StoredCalls.boot(folder)
      yield* StoredCalls.captions(second)
    })
  )

  it.live("of a process that waits for another's file begin when that one ends, and never twice", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const mine = RoomToken.make("mine")
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* StoredCalls.captions(first)

      const second = yield* StoredCalls.boot(folder)
      yield* second.calls.start({ ...wish, room: mine, viewer: Everyone })
      yield* aWhile
      assert.strictEqual(second.phases.joins(), 0)
      const [waiting] = yield* second.calls.list
      assert.strictEqual(waiting?.state, "Connecting")
      assert.include(waiting?.advice, "Another process has")
      assert.strictEqual(second.lines.filter((line) => line.includes("Another process has")).length, 1)

      yield* first.end
      yield* StoredCalls.captions(second)
      yield* StoredCalls.captions(second, 1, mine)
      assert.isUndefined((yield* second.calls.list)[0]?.advice)
      yield* second.end
      assert.strictEqual((yield* rows(folder)).length, 2)
    })
  )

  it.live("that were ended while another process had the file do not begin when that one ends", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.calls.start(wish)
      yield* StoredCalls.captions(first)
      const second = yield* StoredCalls.boot(folder)
      yield* second.calls.endAll
      yield* first.end
      yield* aWhile
      assert.strictEqual(second.phases.joins(), 0)
      yield* second.end
      assert.deepStrictEqual(yield* rows(folder), [])
    })
  )
})
