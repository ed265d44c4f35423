import { spawn } from "node:child_process"
import { chmodSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SafeIntegers } from "effect/sql/SqlClient"
import * as NodeSqlite from "../../src/layers/NodeSqlite.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const opened = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "new", "words.sqlite")
  const database = yield* NodeSqlite.make(file)
  yield* database.open
  yield* database.sql`CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)`
  return { ...database, file }
})

/** Another process that uses a file until it is killed. */
const otherProcess = (file: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ readonly kill: Effect.Effect<void> }>((resolve) => {
          const child = spawn(process.execPath, [
            "--input-type=module",
            "-e",
            `import { DatabaseSync } from "node:sqlite"
             const database = new DatabaseSync(${JSON.stringify(file)})
             database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, word TEXT)")
             database.exec("INSERT INTO words (word) VALUES ('theirs')")
             process.stdout.write("holds it")
             setInterval(() => {}, 1000)`
          ])
          const gone = new Promise<void>((resolveGone) => child.once("exit", () => resolveGone()))
          const kill = Effect.promise(() => {
            child.kill("SIGKILL")
            return gone
          })
          child.stdout.once("data", () => resolve({ kill }))
        })
    ),
    ({ kill }) => kill
  )

describe("NodeSqlite", () => {
  it.live("gives back what was put in, integers beyond 2^53 too", () =>
    Effect.gen(function* () {
      const { sql } = yield* opened
      const large = 9_007_199_254_740_993n
      yield* sql`INSERT INTO words ${sql.insert([
        { id: 1, word: "one" },
        { id: large, word: "large" }
      ])}`
      assert.deepStrictEqual(yield* sql`SELECT word FROM words WHERE id = 1`.values, [["one"]])
      const rows = yield* Effect.provideService(sql`SELECT * FROM words ORDER BY id DESC`, SafeIntegers, true)
      assert.deepStrictEqual(
        rows.map((row) => ({ ...row })),
        [
          { id: large, word: "large" },
          { id: 1n, word: "one" }
        ]
      )
      const streamed = yield* Stream.runCollect(sql`SELECT word FROM words ORDER BY id`.stream)
      assert.deepStrictEqual(
        streamed.map((row) => ({ ...row })),
        [{ word: "one" }, { word: "large" }]
      )
    })
  )

  it.live("takes all of a transaction or nothing, and goes on after one that failed", () =>
    Effect.gen(function* () {
      const { sql } = yield* opened
      const both = Effect.andThen(
        sql`INSERT INTO words (id, word) VALUES (7, 'seven')`,
        sql`INSERT INTO words (id, word) VALUES (7, 'again')`
      ).pipe(sql.withTransaction)
      assert.strictEqual((yield* Effect.flip(both)).reason._tag, "ConstraintError")
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM words`.values, [[0]])
      yield* sql.withTransaction(sql`INSERT INTO words (word) VALUES ('more')`)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM words`.values, [[1]])
    })
  )

  it.live("keeps what it wrote, in files that only we can read, in a folder that only we can enter", () =>
    Effect.gen(function* () {
      const { close, file, open, sql } = yield* opened
      yield* sql`INSERT INTO words (word) VALUES ('kept')`
      const modes = [file, `${file}-wal`, join(file, "..")].map((path) => (statSync(path).mode & 0o777).toString(8))
      assert.deepStrictEqual(modes, ["600", "600", "700"])
      yield* close
      assert.strictEqual(NodeSqlite.codeOf(yield* Effect.flip(sql`SELECT 1`)), 21)
      chmodSync(file, 0o644)
      yield* open
      assert.deepStrictEqual(yield* sql`SELECT word FROM words`.values, [["kept"]])
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    })
  )

  it.live("does not share its file with another process, and gets it the moment that one is killed", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "words.sqlite")
      const theirs = yield* otherProcess(file)
      const { open, sql } = yield* NodeSqlite.make(file)
      assert.strictEqual((yield* Effect.flip(open)).reason._tag, "LockTimeoutError")
      yield* theirs.kill
      yield* open
      assert.deepStrictEqual(yield* sql`SELECT word FROM words`.values, [["theirs"]])
    })
  )

  it.live("tells a file that is no database, or torn, from one it may not have", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const codeOfOpening = (file: string) =>
        Effect.scoped(
          Effect.flatMap(NodeSqlite.make(file), ({ open }) => Effect.map(Effect.flip(open), NodeSqlite.codeOf))
        )
      const garbage = join(folder, "garbage.sqlite")
      writeFileSync(garbage, "nothing that SQLite knows".repeat(1000))
      assert.strictEqual(yield* codeOfOpening(garbage), 26)
      const torn = join(folder, "torn.sqlite")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { open, sql } = yield* NodeSqlite.make(torn)
          yield* open
          yield* sql`CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)`
          for (let n = 0; n < 200; n++) yield* sql`INSERT INTO words (word) VALUES (${"word".repeat(50)})`
        })
      )
      const whole = statSync(torn).size
      yield* Effect.promise(() => import("node:fs/promises").then(({ truncate }) => truncate(torn, whole / 2)))
      assert.strictEqual(yield* codeOfOpening(torn), 11)
      assert.include(["ENOTDIR", "EEXIST"], yield* codeOfOpening(join(garbage, "under.sqlite")))
      assert.strictEqual(yield* codeOfOpening(folder), 14)
    })
  )

  it.live("leaves this thread free while it computes", () =>
    Effect.gen(function* () {
      const { sql } = yield* opened
      let turns = 0
      const timer = setInterval(() => turns++, 1)
      // seconds of work for one statement
      yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT count(*) FROM n`
      clearInterval(timer)
      assert.isAbove(turns, 5)
    })
  )

  it.live("ends with its scope", () =>
    Effect.gen(function* () {
      const file = fileURLToPath(new URL("../../src/layers/NodeSqlite.ts", import.meta.url))
      const folder = yield* temporaryFolder
      const child = spawn(process.execPath, [
        "--input-type=module",
        "-e",
        `import { Effect } from "effect"
         import * as NodeSqlite from ${JSON.stringify(file)}
         await Effect.runPromise(Effect.scoped(Effect.flatMap(NodeSqlite.make(${JSON.stringify(join(folder, "a"))}), ({ open }) => open)))`
      ])
      const code = yield* Effect.promise(() => new Promise((resolve) => child.once("exit", resolve)))
      assert.strictEqual(code, 0)
    })
  )
})
