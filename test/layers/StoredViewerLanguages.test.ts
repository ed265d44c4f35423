import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import * as KeptDatabase from "../../src/layers/KeptDatabase.ts"
import * as StoredViewerLanguages from "../../src/layers/StoredViewerLanguages.ts"
import * as ViewerLanguageRows from "../../src/layers/ViewerLanguageRows.ts"
import * as StoredCalls from "../support/StoredCalls.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const room = RoomToken.make("room1")
const other = RoomToken.make("room2")
const de = LanguageId.make("de")
const en = LanguageId.make("en")
const fr = LanguageId.make("fr")

const opened = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "calls.sqlite")
  const database = yield* Database.make({ _tag: "File", file, isShared: false })
  yield* database.open
  const { sql } = database
  yield* Migrator.make({})({ loader: IntentRows.migrations }).pipe(Effect.provideService(SqlClient, sql))
  return { sql, database, file }
})

const make = (database: Database.Database) => StoredViewerLanguages.make(database, () => {})

/** As the next process has it, for this file. */
const next = (database: Database.Database) => Effect.tap(make(database), ({ load }) => load)

describe("StoredViewerLanguages", () => {
  it.effect("keep each user's choice until the room's is newer", () =>
    Effect.gen(function* () {
      const { languages } = yield* make((yield* opened).database)
      assert.isUndefined(yield* languages.last(room, "ada"))
      yield* languages.choose(room, "ada", fr)
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
      assert.isUndefined(yield* languages.last(room, "bob"))
      assert.isUndefined(yield* languages.last(room, undefined))
      assert.isUndefined(yield* languages.last(other, "ada"))
      yield* languages.chooseForAll(room, en)
      assert.strictEqual(yield* languages.last(room, "ada"), en)
      assert.strictEqual(yield* languages.last(room, undefined), en)
      yield* languages.choose(room, "ada", fr)
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
    })
  )

  it.effect("are there for the next process, and what a room's choice ended is not", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const before = yield* next(database)
      yield* before.languages.choose(room, "ada", fr)
      yield* before.languages.choose(other, "ada", de)
      yield* before.write
      yield* before.languages.chooseForAll(room, en)
      yield* before.write
      const { languages } = yield* next(database)
      assert.strictEqual(yield* languages.last(room, "ada"), en)
      assert.strictEqual(yield* languages.last(other, "ada"), de)
      assert.strictEqual((yield* sql`SELECT * FROM viewer_languages`).length, 2)
    })
  )

  it.effect("are forgotten after 30 days, by this process and by the next", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const before = yield* next(database)
      yield* before.languages.choose(room, "ada", fr)
      yield* TestClock.adjust("1 day")
      yield* before.languages.choose(room, "bob", fr)
      yield* before.write
      yield* TestClock.adjust("29 days")
      const after = yield* next(database)
      for (const { languages } of [before, after]) {
        assert.isUndefined(yield* languages.last(room, "ada"))
        assert.strictEqual(yield* languages.last(room, "bob"), fr)
      }
      yield* after.write
      assert.strictEqual((yield* sql`SELECT * FROM viewer_languages`).length, 1)
    })
  )

  it.effect("stay bounded: those go that were chosen longest ago", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const before = yield* next(database)
      for (let n = 0; n < ViewerLanguageRows.MOST; n++) yield* before.languages.choose(room, `user${n}`, fr)
      yield* TestClock.adjust(1)
      yield* before.languages.choose(room, "user0", de)
      yield* before.languages.choose(room, "newest", de)
      yield* before.write
      const { languages } = yield* next(database)
      assert.isUndefined(yield* languages.last(room, "user1"))
      assert.strictEqual(yield* languages.last(room, "user0"), de)
      assert.strictEqual(yield* languages.last(room, "newest"), de)
      assert.strictEqual((yield* sql`SELECT * FROM viewer_languages`).length, ViewerLanguageRows.MOST)
    })
  )

  it.effect("overrule nothing that was chosen before the file could be read", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const before = yield* next(database)
      for (const user of ["ada", "bob"]) {
        yield* before.languages.choose(room, user, fr)
        yield* before.languages.choose(other, user, fr)
      }
      yield* before.write
      const during = yield* make(database)
      yield* during.languages.chooseForAll(room, en)
      yield* during.languages.choose(other, "ada", de)
      yield* during.load
      yield* during.write
      for (const { languages } of [during, yield* next(database)]) {
        assert.strictEqual(yield* languages.last(room, "bob"), en)
        assert.strictEqual(yield* languages.last(other, "ada"), de)
        assert.strictEqual(yield* languages.last(other, "bob"), fr)
      }
    })
  )

  it.effect("fill a file that took the place of a damaged one, and remove rows that are none", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const row = { room, user: "ada", language: "fr", chosen_ms: 0 }
      yield* sql`INSERT INTO viewer_languages ${sql.insert([
        row,
        { ...row, room: "../etc" },
        { ...row, user: "bob", language: "" }
      ])}`
      const stored = yield* next(database)
      yield* stored.write
      assert.strictEqual((yield* sql`SELECT * FROM viewer_languages`).length, 1)
      yield* sql`DELETE FROM viewer_languages`
      yield* stored.load
      yield* stored.write
      const { languages } = yield* next(database)
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
    })
  )

  it.live("stay in memory while the disk is full, and are written when there is room again", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const { languages, load, write } = yield* make(database)
      const kept = yield* KeptDatabase.make({
        database,
        consequence: "Captions go on.",
        write,
        prepare: Effect.asVoid(Effect.andThen(load, sql`PRAGMA max_page_count = 1`))
      })
      yield* kept.tried
      for (let n = 0; n < 500; n++) yield* languages.choose(room, `${n} ${"x".repeat(200)}`, fr)
      yield* languages.choose(room, "ada", fr)
      kept.wantWrite()
      yield* until(() => kept.state()._tag === "Unusable")
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
      yield* sql`PRAGMA max_page_count = 10000`
      yield* until(() => kept.state()._tag === "Open")
      const after = yield* next(database)
      assert.strictEqual(yield* after.languages.last(room, "ada"), fr)
    })
  )

  it.live("outlive a restart of the service", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const first = yield* StoredCalls.boot(folder)
      yield* first.languages.choose(room, "ada", fr)
      yield* first.end
      const second = yield* StoredCalls.boot(folder)
      assert.strictEqual(yield* second.languages.last(room, "ada"), fr)
    })
  )
})
