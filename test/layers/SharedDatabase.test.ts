/** What holds for every database that runners share. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option } from "effect"
import * as Runner from "effect/cluster/Runner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as ShardId from "effect/cluster/ShardId"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { RoomToken } from "../../src/domain/Call.ts"
import * as CallMailbox from "../../src/layers/CallMailbox.ts"
import * as Database from "../../src/layers/Database.ts"
import * as IntentRows from "../../src/layers/IntentRows.ts"
import { PostgresServer } from "../support/Postgres.ts"
import { sharedDatabases } from "../support/SharedDatabases.ts"
import { until } from "../support/Until.ts"

const tables: ReadonlyArray<Database.Tables> = [
  { table: "calls_migrations", loader: IntentRows.migrations },
  { table: "cluster_migrations", loader: CallMailbox.migrations },
  { table: "cluster_runner_migrations", loader: SqlRunnerStorage.migrations({}) }
]
const word = (database: Database.Database, id: number, text: string) =>
  database.sql`INSERT INTO words ${database.sql.insert({ id, word: text })}`

layer(PostgresServer.layer, { excludeTestServices: true, timeout: "2 minutes" })(
  "a database that runners share",
  (it) => {
    for (const [name, place] of sharedDatabases) {
      const opened = Effect.gen(function* () {
        const where = yield* place
        const database = yield* Database.make(where)
        yield* database.open
        return { database, where }
      })
      const withWords = Effect.tap(
        opened,
        ({ database: { sql } }) => sql`CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL)`
      )

      it.effect(`${name}: is made once, by any of those that begin at the same moment with an empty one`, () =>
        Effect.gen(function* () {
          for (let round = 0; round < 4; round++) {
            const where = yield* place
            const begun = yield* Effect.forEach(
              Array.from({ length: 5 }),
              () =>
                Effect.scoped(
                  Effect.gen(function* () {
                    const database = yield* Database.make(where)
                    yield* database.open
                    yield* database.migrate(tables)
                    yield* database.migrate(tables)
                    return yield* database.sql`SELECT * FROM call_intents`
                  })
                ),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(begun, [[], [], [], [], []])
          }
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: has all tables of a version or none`, () =>
        Effect.gen(function* () {
          const { database } = yield* opened
          const broken = Migrator.fromRecord({
            "0001_whole": Effect.flatMap(SqlClient, (sql) => sql`CREATE TABLE whole (id INTEGER)`),
            "0002_broken": Effect.flatMap(SqlClient, (sql) => sql`CREATE TABLE`)
          })
          const exit = yield* Effect.exit(database.migrate([...tables, { table: "broken_migrations", loader: broken }]))
          assert.isTrue(Exit.isFailure(exit))
          assert.isTrue(Exit.isFailure(yield* Effect.exit(database.sql`SELECT * FROM call_intents`)))
          yield* database.migrate(tables)
          assert.deepStrictEqual(yield* database.sql`SELECT * FROM call_intents`, [])
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: writes what belongs together, or nothing of it`, () =>
        Effect.gen(function* () {
          const { database, where } = yield* withWords
          const { atOnce, sql } = database
          const other = yield* Database.make(where)
          yield* other.open
          const rows = yield* atOnce([
            sql`SELECT 7 AS seven`,
            sql`INSERT INTO words ${sql.insert({ id: 1, word: "one" })}`,
            sql`INSERT INTO words ${sql.insert({ id: 2, word: "two" })} RETURNING id`
          ])
          assert.deepStrictEqual(
            rows.map((some) => some.map((row) => ({ ...Object(row) }))),
            [[{ seven: 7 }], [], [{ id: 2 }]]
          )
          const failed = yield* Effect.exit(
            atOnce([
              sql`UPDATE words SET word = 'changed'`,
              sql`INSERT INTO words ${sql.insert({ id: 1, word: "again" })}`
            ])
          )
          assert.isTrue(Exit.isFailure(failed))
          assert.deepStrictEqual(yield* other.sql`SELECT word FROM words ORDER BY id`.values, [["one"], ["two"]])
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: takes what several write at once`, () =>
        Effect.gen(function* () {
          const { database, where } = yield* withWords
          const others = yield* Effect.forEach([1, 2, 3], () => Effect.tap(Database.make(where), ({ open }) => open))
          yield* Effect.forEach(
            [database, ...others],
            (one, index) =>
              Effect.forEach(Array.from({ length: 25 }), (_, n) =>
                n % 2 === 0
                  ? word(one, index * 100 + n, "alone")
                  : one.sql.withTransaction(
                      Effect.andThen(one.sql`SELECT * FROM words`, word(one, index * 100 + n, "in one"))
                    )
              ),
            { concurrency: "unbounded" }
          )
          assert.strictEqual((yield* database.sql`SELECT * FROM words`).length, 100)
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: carries the registry, the leases and the messages of Effect's cluster`, () =>
        Effect.gen(function* () {
          const { database } = yield* opened
          yield* database.migrate(tables)
          const address = (port: number) => RunnerAddress.make("127.0.0.1", port)
          const storageOf = (port: number) =>
            SqlRunnerStorage.layerStorage({}).pipe(
              Layer.provide(Layer.succeed(SqlClient, database.sql)),
              Layer.provide(
                ShardingConfig.layer({
                  runnerAddress: Option.some(address(port)),
                  shardLockDisableAdvisory: true,
                  shardLockExpiration: "3 seconds",
                  shardLockRefreshInterval: "1 second"
                })
              ),
              Layer.fresh,
              Layer.build,
              Effect.map((context) => Context.get(context, RunnerStorage.RunnerStorage))
            )
          const [one, two] = [yield* storageOf(1), yield* storageOf(2)]
          const machines = [
            yield* one.register(runner(address(1)), true),
            yield* two.register(runner(address(2)), true)
          ]
          assert.notStrictEqual(machines[0], machines[1])
          yield* two.setRunnerHealth(address(1), false)
          assert.deepStrictEqual(
            (yield* one.getRunners)
              .map(
                ([
                  {
                    address: { port }
                  },
                  isHealthy
                ]) => [port, isHealthy]
              )
              .sort(),
            [
              [1, false],
              [2, true]
            ]
          )
          const shards = [ShardId.make("default", 1), ShardId.make("default", 2)]
          assert.strictEqual((yield* one.acquire(address(1), shards)).length, 2)
          assert.deepStrictEqual(yield* two.acquire(address(2), shards), [])
          yield* one.release(address(1), ShardId.make("default", 1))
          assert.strictEqual((yield* two.acquire(address(2), shards)).length, 1)
          assert.strictEqual((yield* one.refresh(address(1), shards)).length, 1)

          let isReady = false
          const ran: Array<string> = []
          const mailbox = yield* CallMailbox.make({
            sql: database.sql,
            isReady: () => isReady,
            run: (room) => Effect.sync(() => void ran.push(room))
          })
          isReady = true
          yield* Effect.forEach(["room1", "room2"], (room) => mailbox.wake(RoomToken.make(room)))
          yield* until(() => ran.length === 2)
          assert.sameMembers(ran, ["room1", "room2"])
        }).pipe(Effect.scoped)
      )
    }
  }
)

const runner = (address: RunnerAddress.RunnerAddress) => Runner.make({ address, groups: ["default"], weight: 1 })
