import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { Everyone, type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import * as KeptDatabase from "../../src/layers/KeptDatabase.ts"
import * as StoredIntents from "../../src/layers/StoredIntents.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const room = RoomToken.make("room1")
const intentOf = (name: string, language = "en"): Intent => ({
  room,
  viewer: name === "everyone" ? Everyone : participant(NextcloudSessionId.make(name)),
  language: LanguageId.make(language)
})

const migrate = (sql: SqlClient) =>
  Migrator.make({})({ loader: IntentRows.migrations }).pipe(Effect.provideService(SqlClient, sql))

const opened = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "intents.sqlite")
  const database = yield* Database.make({ _tag: "File", file, isShared: false })
  yield* database.open
  yield* migrate(database.sql)
  return { sql: database.sql, database, file }
})

/** What the next process finds, for this file. */
const found = (database: Database.Database) => Effect.flatMap(StoredIntents.make(database), ({ load }) => load)

describe("StoredIntents", () => {
  it.effect("gives the next process what is wanted, the oldest wish first, and nothing else", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const intents = yield* StoredIntents.make(database)
      intents.record(intentOf("a"), true)
      yield* TestClock.adjust(1)
      intents.record(intentOf("everyone", "fr"), true)
      yield* TestClock.adjust(1)
      intents.record(intentOf("gone"), true)
      yield* intents.write
      intents.record(intentOf("gone"), false)
      intents.record(intentOf("a", "de"), true)
      yield* intents.write
      assert.deepStrictEqual(yield* found(database), [intentOf("everyone", "fr"), intentOf("a", "de")])
    })
  )

  it.effect("gives back where a call may be heard", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const intents = yield* StoredIntents.make(database)
      const wanted: ReadonlyArray<Intent> = [
        { ...intentOf("everyone"), privacy: "local-only" },
        { ...intentOf("everyone"), room: RoomToken.make("press") }
      ]
      for (const one of wanted) intents.record(one, true)
      yield* intents.write
      assert.sameDeepMembers([...(yield* found(database))], [...wanted])
    })
  )

  it.effect("takes thousands at once", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const intents = yield* StoredIntents.make(database)
      const many = Array.from({ length: 8000 }, (_, n) => intentOf(`viewer ${n}`))
      for (const one of many) intents.record(one, true)
      yield* intents.write
      assert.strictEqual((yield* found(database)).length, many.length)
    })
  )

  it.effect("forgets who has not been seen for twelve hours, in this process and in the file", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const intents = yield* StoredIntents.make(database)
      intents.record(intentOf("a"), true)
      yield* intents.write
      yield* TestClock.adjust("11 hours")
      assert.deepStrictEqual(intents.expired(), [])
      const later = yield* StoredIntents.make(database)
      assert.deepStrictEqual(yield* later.load, [intentOf("a")])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(intents.expired(), [intentOf("a")])
      assert.deepStrictEqual(later.expired(), [intentOf("a")])
      const tooLate = yield* StoredIntents.make(database)
      assert.deepStrictEqual(yield* tooLate.load, [])
      yield* tooLate.write
      assert.deepStrictEqual(yield* sql`SELECT * FROM call_intents`, [])
    })
  )

  it.effect("keeps who is seen for as long as that is so", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const intents = yield* StoredIntents.make(database)
      intents.record(intentOf("a"), true)
      for (let hour = 0; hour < 30; hour++) {
        yield* TestClock.adjust("1 hour")
        intents.renew(new Set([room]))
        yield* intents.write
      }
      assert.deepStrictEqual(intents.expired(), [])
      assert.deepStrictEqual(yield* found(database), [intentOf("a")])
    })
  )

  it.effect("overrules nothing that was asked for before the file could be read", () =>
    Effect.gen(function* () {
      const { database } = yield* opened
      const before = yield* StoredIntents.make(database)
      for (const name of ["a", "b", "c", "d"]) before.record(intentOf(name), true)
      yield* before.write
      const intents = yield* StoredIntents.make(database)
      intents.record(intentOf("a", "fr"), true)
      intents.dismiss(room, intentOf("b").viewer)
      intents.record(intentOf("c"), true)
      intents.record(intentOf("c"), false)
      assert.deepStrictEqual(yield* intents.load, [intentOf("d")])
      yield* intents.write
      assert.sameDeepMembers([...(yield* found(database))], [intentOf("a", "fr"), intentOf("d")])
    })
  )

  it.effect("gives a file that took the place of a damaged one all that is wanted", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const intents = yield* StoredIntents.make(database)
      yield* intents.load
      for (const name of ["a", "b"]) intents.record(intentOf(name), true)
      yield* intents.write
      yield* sql`DELETE FROM call_intents`
      assert.deepStrictEqual(yield* intents.load, [])
      yield* intents.write
      assert.sameDeepMembers([...(yield* found(database))], [intentOf("a"), intentOf("b")])
    })
  )

  it.effect("passes over rows that it would not have written, and removes them", () =>
    Effect.gen(function* () {
      const { database, sql } = yield* opened
      const row = { room, viewer: "everyone", language: "en", privacy: "any", asked_ms: 0, expires_ms: 1e15 }
      yield* sql`INSERT INTO call_intents ${sql.insert([
        row,
        { ...row, room: "../etc" },
        { ...row, viewer: "nobody" },
        { ...row, viewer: "participant:" },
        { ...row, viewer: "participant:b", privacy: "some" },
        { ...row, viewer: "participant:a", language: "" }
      ])}`
      const intents = yield* StoredIntents.make(database)
      assert.deepStrictEqual(yield* intents.load, [intentOf("everyone")])
      yield* intents.write
      assert.strictEqual((yield* sql`SELECT * FROM call_intents`).length, 1)
    })
  )

  it.live("keeps what a full disk does not take, and writes it when there is room again", () =>
    Effect.gen(function* () {
      const { database, file, sql } = yield* opened
      const lines: Array<string> = []
      const intents = yield* StoredIntents.make(database)
      const kept = yield* KeptDatabase.make({
        database,
        consequence: "Captions go on.",
        write: intents.write,
        prepare: Effect.asVoid(Effect.andThen(intents.load, sql`PRAGMA max_page_count = 1`))
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
      yield* kept.tried
      for (let n = 0; n < 500; n++) intents.record(intentOf(`viewer ${n} ${"x".repeat(200)}`), true)
      kept.wantWrite()
      yield* intents.written
      yield* until(() => kept.state()._tag === "Unusable")
      assert.strictEqual(kept.advice(), `${file} cannot be used: the disk is full. Captions go on.`)
      intents.record(intentOf("another"), true)
      yield* sql`PRAGMA max_page_count = 10000`
      yield* until(() => kept.state()._tag === "Open")
      assert.isUndefined(kept.advice())
      assert.strictEqual((yield* found(database)).length, 501)
      assert.deepStrictEqual(lines, [
        `${file} cannot be used: the disk is full. Captions go on.`,
        `${file} can be used now`
      ])
    })
  )
})
