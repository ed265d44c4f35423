/** What runners keep in one database: each about its own rooms. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { Everyone, type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import * as KeptDatabase from "../../src/layers/KeptDatabase.ts"
import * as StoredIntents from "../../src/layers/StoredIntents.ts"
import * as StoredViewerLanguages from "../../src/layers/StoredViewerLanguages.ts"
import { PostgresServer } from "../support/Postgres.ts"
import { sharedDatabases } from "../support/SharedDatabases.ts"
import { until } from "../support/Until.ts"

const [a, b] = [RoomToken.make("a"), RoomToken.make("b")]
const [en, fr] = [LanguageId.make("en"), LanguageId.make("fr")]
const intentOf = (room: RoomToken, name = "everyone", language = en): Intent => ({
  room,
  viewer: name === "everyone" ? Everyone : participant(NextcloudSessionId.make(name)),
  language
})
const seats = Migrator.fromRecord({
  "0001_seats": Effect.flatMap(
    SqlClient,
    (sql) => sql`CREATE TABLE seats (room TEXT PRIMARY KEY, runner TEXT NOT NULL)`
  )
})

/** Whoever writes: the store does so by itself, too. */
const saved = ({ intents }: { readonly intents: StoredIntents.StoredIntents }) =>
  Effect.andThen(intents.write, intents.written)

layer(PostgresServer.layer, { excludeTestServices: true, timeout: "2 minutes" })("what runners keep", (it) => {
  for (const [name, place] of sharedDatabases) {
    const scene = Effect.gen(function* () {
      const where = yield* place
      const runner = Effect.fnUntraced(function* (self: string) {
        const database = yield* Database.make(where)
        const { sql } = database
        const intents = yield* StoredIntents.make(database, {
          mine: (rooms) => sql`SELECT room FROM seats WHERE runner = ${self} AND ${sql.in("room", rooms)}`
        })
        const viewers = yield* StoredViewerLanguages.make(database, () => kept.wantWrite())
        const kept: KeptDatabase.KeptDatabase = yield* KeptDatabase.make({
          database,
          consequence: "Captions go on.",
          prepare: Effect.asVoid(
            database.migrate([
              { table: "calls_migrations", loader: IntentRows.migrations },
              { table: "seats_migrations", loader: seats }
            ])
          ),
          write: Effect.andThen(intents.write, viewers.write)
        })
        yield* until(() => kept.state()._tag === "Open")
        const sit = (room: RoomToken) =>
          sql`INSERT INTO seats ${sql.insert({ room, runner: self })} ON CONFLICT (room) DO UPDATE SET runner = excluded.runner`
        return { intents, viewers, sql, sit }
      })
      return { one: yield* runner("one"), two: yield* runner("two") }
    })

    it.effect(`${name}: a room that another runner takes over comes with all that is wanted in it`, () =>
      Effect.gen(function* () {
        const { one, two } = yield* scene
        yield* one.sit(a)
        assert.deepStrictEqual(yield* one.intents.loadRoom(a), [])
        one.intents.record(intentOf(a), true)
        one.intents.record(intentOf(a, "gone"), true)
        one.intents.record(intentOf(a, "gone"), false)
        one.intents.record({ ...intentOf(a, "b", fr), privacy: "local-only" }, true)
        yield* saved(one)
        assert.deepStrictEqual(yield* two.intents.wanted, [a])
        yield* two.sit(a)
        assert.sameDeepMembers(
          [...(yield* two.intents.loadRoom(a))],
          [intentOf(a), { ...intentOf(a, "b", fr), privacy: "local-only" }]
        )
        assert.deepStrictEqual(one.intents.release(a), [])
        two.intents.record(intentOf(a), false)
        two.intents.record(intentOf(a, "b"), false)
        yield* saved(two)
        assert.deepStrictEqual(yield* one.intents.wanted, [])
      }).pipe(Effect.scoped)
    )

    it.effect(`${name}: a runner that has lost a room overwrites nothing in it, and says what it alone knew`, () =>
      Effect.gen(function* () {
        const { one, two } = yield* scene
        for (const room of [a, b]) yield* one.sit(room)
        one.intents.record(intentOf(a), true)
        yield* saved(one)
        yield* two.sit(a)
        yield* two.intents.loadRoom(a)
        two.intents.record(intentOf(a, "everyone", fr), true)
        yield* saved(two)
        // as after a freeze: it does not know
        one.intents.record(intentOf(a), false)
        one.intents.record(intentOf(a, "late"), true)
        one.intents.record(intentOf(b), true)
        yield* saved(one)
        assert.sameDeepMembers(
          [...(yield* one.sql`SELECT room, viewer, language FROM call_intents`.values)],
          [
            ["a", "everyone", "fr"],
            ["b", "everyone", "en"]
          ]
        )
        assert.deepStrictEqual(one.intents.release(a), [intentOf(a, "late")])
        yield* saved(one)
        assert.deepStrictEqual(one.intents.release(b), [])
      }).pipe(Effect.scoped)
    )

    it.effect(`${name}: what is wanted in a room without a seat is written when there is one`, () =>
      Effect.gen(function* () {
        const { one } = yield* scene
        one.intents.record(intentOf(a), true)
        yield* saved(one)
        assert.deepStrictEqual(yield* one.intents.wanted, [])
        yield* one.sit(a)
        yield* saved(one)
        assert.deepStrictEqual(yield* one.intents.wanted, [a])
      }).pipe(Effect.scoped)
    )

    it.effect(`${name}: nothing is wanted that was asked for before all was ended, whoever has it`, () =>
      Effect.gen(function* () {
        const { one, two } = yield* scene
        yield* one.sit(a)
        one.intents.record(intentOf(a), true)
        yield* saved(one)
        yield* Effect.sleep("2 millis")
        two.intents.dismiss()
        yield* saved(two)
        assert.deepStrictEqual(yield* two.intents.wanted, [])
        assert.deepStrictEqual(yield* two.intents.loadRoom(a), [])
      }).pipe(Effect.scoped)
    )

    it.effect(`${name}: what a user last read in is known to every runner`, () =>
      Effect.gen(function* () {
        const { one, two } = yield* scene
        const soon = ({ viewers: { languages } }: typeof one, user: string | undefined, language: LanguageId) =>
          Effect.sleep("5 millis").pipe(
            Effect.andThen(languages.last(a, user)),
            Effect.repeat({ until: (known) => known === language }),
            Effect.timeout("60 seconds")
          )
        yield* one.viewers.languages.choose(a, "anna", fr)
        yield* soon(two, "anna", fr)
        assert.isUndefined(yield* two.viewers.languages.last(a, "ben"))
        yield* two.viewers.languages.chooseForAll(a, en)
        assert.strictEqual(yield* two.viewers.languages.last(a, "anna"), en)
        yield* soon(one, "anna", en)
        yield* soon(one, undefined, en)
        // heard here, while the database says nothing
        yield* two.sql`DROP TABLE viewer_languages`
        yield* two.viewers.languages.choose(b, "anna", fr)
        assert.strictEqual(yield* two.viewers.languages.last(b, "anna"), fr)
      }).pipe(Effect.scoped)
    )
  }
})
