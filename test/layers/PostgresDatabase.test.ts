/** What becomes of a runner whose PostgreSQL is restarted, killed, frozen or not there. */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Logger, Redacted } from "effect"
import { Everyone, type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import * as KeptDatabase from "../../src/layers/KeptDatabase.ts"
import * as StoredIntents from "../../src/layers/StoredIntents.ts"
import { PASSWORD, PostgresServer } from "../support/Postgres.ts"
import { until } from "../support/Until.ts"

const intentOf = (name: string): Intent => ({
  room: RoomToken.make("room1"),
  viewer: name === "everyone" ? Everyone : participant(NextcloudSessionId.make(name)),
  language: LanguageId.make("en")
})

/** As a runner has it. */
const begun = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const lines: Array<string> = []
  const database = yield* Database.make({ _tag: "Server", url })
  const intents = yield* StoredIntents.make(database)
  const kept = yield* KeptDatabase.make({
    database,
    consequence: "Captions go on.",
    prepare: Effect.andThen(
      database.migrate([{ table: "calls_migrations", loader: IntentRows.migrations }]),
      Effect.asVoid(intents.load)
    ),
    write: intents.write
  }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
  const record = (name: string) => {
    intents.record(intentOf(name), true)
    kept.wantWrite()
    return intents.written
  }
  /** Nothing can be written now: the attempt is made, and not waited for. */
  const recordInVain = (name: string) => Effect.timeoutOption(record(name), "500 millis")
  return { database, intents, kept, lines, record, recordInVain }
})

layer(PostgresServer.layer, { excludeTestServices: true, timeout: "2 minutes" })("with PostgreSQL", (it) => {
  /** What the next process finds. */
  const found = (url: Redacted.Redacted) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { load } = yield* StoredIntents.make(yield* Database.make({ _tag: "Server", url }))
        return (yield* load).map(({ viewer }) => (viewer._tag === "Everyone" ? "everyone" : viewer.session))
      })
    )

  for (const [what, away, back] of [
    ["killed", "kill", "start"],
    ["stopped", "stop", "start"],
    ["frozen", "freeze", "thaw"]
  ] as const) {
    it.effect(`that is ${what}, what is wanted waits in memory, and is written when it is back`, () =>
      Effect.gen(function* () {
        const server = yield* PostgresServer
        const url = yield* server.fresh
        const { intents, kept, lines, record, recordInVain } = yield* begun(url)
        yield* until(() => kept.state()._tag === "Open")
        yield* record("before")
        assert.deepStrictEqual(yield* found(url), ["before"])
        yield* server[away]
        yield* recordInVain("during")
        yield* until(() => kept.state()._tag === "Unusable")
        yield* recordInVain("later")
        assert.match(
          kept.advice() ?? "",
          /^PostgreSQL \(127\.0\.0\.1:\d+\/fresh\d+\) cannot be used: .+\. Captions go on\.$/
        )
        yield* server[back]
        yield* until(() => kept.state()._tag === "Open")
        yield* intents.written
        assert.isUndefined(kept.advice())
        assert.sameMembers(yield* found(url), ["before", "during", "later"])
        assert.strictEqual(lines.filter((line) => line.endsWith(" can be used now")).length, 1)
        assert.notInclude(lines.join(), PASSWORD)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("that is restarted, the next wish finds it", () =>
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const url = yield* server.fresh
      const { intents, kept, record } = yield* begun(url)
      yield* until(() => kept.state()._tag === "Open")
      yield* record("before")
      yield* server.stop
      yield* server.start
      yield* record("after")
      yield* until(() => kept.state()._tag === "Open")
      yield* intents.written
      assert.sameMembers(yield* found(url), ["before", "after"])
    }).pipe(Effect.scoped)
  )

  it.effect("that is not there at the start, calls begin without it, and it gets what they are about", () =>
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const url = yield* server.fresh
      yield* server.kill
      const { kept, lines, record, recordInVain } = yield* begun(url)
      yield* kept.tried
      yield* kept.decided
      assert.strictEqual(kept.state()._tag, "Unusable")
      yield* recordInVain("everyone")
      yield* server.start
      yield* until(() => kept.state()._tag === "Open")
      yield* record("after")
      assert.sameMembers(yield* found(url), ["everyone", "after"])
      assert.match(lines[0] ?? "", /cannot be used: the server refuses connections\. Captions go on\.$/)
    }).pipe(Effect.scoped)
  )

  it.effect("that is frozen, every statement ends, in a transaction too, and the next one works when it goes on", () =>
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const { open, sql } = yield* Database.make({ _tag: "Server", url: yield* server.fresh })
      yield* open
      const [begun, frozen] = [Latch.makeUnsafe(false), Latch.makeUnsafe(false)]
      const cutOff = yield* Effect.forkChild(
        Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* sql`SELECT 1`
              begun.openUnsafe()
              yield* frozen.await
              yield* sql`SELECT 2`
            })
          )
        )
      )
      yield* begun.await
      yield* server.freeze
      frozen.openUnsafe()
      const exits = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.exit(sql`SELECT 1`), {
        concurrency: "unbounded"
      }).pipe(Effect.timeout("60 seconds"))
      assert.isTrue(exits.every(Exit.isFailure))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(cutOff)))
      yield* server.thaw
      assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
    }).pipe(Effect.scoped)
  )

  it.effect("no transaction that another process has forgotten is in the way for long", () =>
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const url = yield* server.fresh
      const [one, two] = [yield* Database.make({ _tag: "Server", url }), yield* Database.make({ _tag: "Server", url })]
      yield* one.sql`CREATE TABLE words (id INTEGER PRIMARY KEY)`
      yield* one.sql`INSERT INTO words VALUES (1)`
      const locked = Latch.makeUnsafe(false)
      // what a frozen process leaves: locks, and nothing more is heard from it
      yield* Effect.forkScoped(
        Effect.ignore(
          one.sql.withTransaction(
            one.sql`UPDATE words SET id = 2`.pipe(Effect.andThen(locked.open), Effect.andThen(Effect.never))
          )
        )
      )
      yield* locked.await
      const changed = yield* Effect.exit(two.sql`UPDATE words SET id = 3`)
      assert.isTrue(Exit.isFailure(changed))
      yield* Effect.sleep("100 millis").pipe(
        Effect.andThen(Effect.exit(two.sql`UPDATE words SET id = 3`)),
        Effect.repeat({ until: Exit.isSuccess }),
        Effect.timeout("60 seconds")
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a wrong password is said, and never repeated", () =>
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const url = Redacted.make(Redacted.value(yield* server.fresh).replace(PASSWORD, "wrong-password"))
      const { lines } = yield* begun(url)
      yield* until(() => lines.length > 0)
      assert.match(
        lines.join(),
        /cannot be used: the server does not accept this user and password\. Captions go on\.$/
      )
      assert.notInclude(lines.join(), "wrong-password")
    }).pipe(Effect.scoped)
  )
})
