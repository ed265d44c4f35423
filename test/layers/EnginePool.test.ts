import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Metric, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { LanguageId, languagesOf } from "../../src/domain/Language.ts"
import * as EnginePool from "../../src/layers/EnginePool.ts"
import type { EngineError } from "../../src/services/SpeechEngine.ts"
import { away, busy, closed, type Place, type Placed, place, refused } from "../support/EngineTable.ts"

interface Table {
  readonly pool: EnginePool.EnginePool
  readonly places: Readonly<Record<string, Place>>
}

const told = (
  name: string,
  engines: Readonly<Record<string, Placed>>,
  body: (table: Table) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const places: Record<string, Place> = {}
      for (const [key, placed] of Object.entries(engines)) places[key] = yield* place(key, placed)
      const pool = yield* EnginePool.make(Object.values(places).map(({ configured }) => configured))
      yield* TestClock.adjust(0)
      yield* body({ pool, places })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Random.withSeed(name))
  )

const speaking = (language: string, more: Partial<EnginePool.Asking> = {}): EnginePool.Asking => ({
  language: () => LanguageId.make(language),
  ...more
})
const anyone = speaking("en")
const nameOf = (chosen: EnginePool.Chosen | undefined) => chosen?.configured.engine.capabilities.name
const chosenBy = (pool: EnginePool.EnginePool, voice: EnginePool.Asking = anyone) => {
  const chosen = pool.choose(voice)
  if (chosen === undefined) throw new Error("nobody was chosen")
  return chosen
}
const attempts = ({ places }: Table) => Object.values(places).map(({ director }) => director.attempts())

describe("whom the pool chooses", () => {
  told(
    "is the best role that knows the language, in the order of the configuration",
    {
      rescue: { role: "LastResort" },
      cover: { role: "Cover", capabilities: { languages: languagesOf(["en-US", "de"]) } },
      first: { capabilities: { languages: languagesOf(["en", "fr"]) } },
      second: { capabilities: { languages: languagesOf(["en", "fr", "ja"]) } }
    },
    ({ pool }) =>
      Effect.sync(() => {
        assert.strictEqual(nameOf(pool.choose(speaking("en"))), "first")
        assert.strictEqual(nameOf(pool.choose(speaking("ja"))), "second")
        assert.strictEqual(nameOf(pool.choose(speaking("de"))), "cover")
        assert.deepInclude(pool.choose(speaking("en", { engine: () => "cover" })), {
          language: LanguageId.make("en-US")
        })
        assert.strictEqual(nameOf(pool.choose(speaking("en", { engine: () => "cover" }))), "cover")
        assert.strictEqual(nameOf(pool.choose(speaking("tlh"))), "first")
      })
  )

  told(
    "is nobody where no engine may hear the voice, and never will be",
    { far: { capabilities: { local: false } } },
    (table) =>
      Effect.gen(function* () {
        const confidential = speaking("en", { privacy: "local-only" })
        assert.isUndefined(table.pool.choose(confidential))
        assert.strictEqual(table.pool.waitMs(confidential), Number.POSITIVE_INFINITY)
        yield* table.pool.prepare(confidential)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(attempts(table), [0])
      })
  )

  told(
    "for as long as it fails is the next role, a last resort only behind all others",
    {
      first: { opening: () => Effect.fail(away) },
      cover: { role: "Cover", opening: () => Effect.fail(away) },
      rescue: { role: "LastResort" }
    },
    ({ pool }) =>
      Effect.gen(function* () {
        assert.strictEqual(nameOf(pool.cover(anyone, chosenBy(pool))), "cover")
        yield* Effect.flip(pool.open(chosenBy(pool)))
        assert.strictEqual(nameOf(pool.choose(anyone)), "cover")
        assert.isUndefined(pool.cover(anyone, chosenBy(pool)))
        yield* Effect.flip(pool.open(chosenBy(pool)))
        assert.strictEqual(nameOf(pool.choose(anyone)), "rescue")
        assert.isUndefined(pool.preferred(anyone, chosenBy(pool)))
      })
  )
})

describe("an engine that fails", () => {
  told(
    "is left alone, then probed in everybody's place, and preferred again when it is back",
    {
      first: { opening: (index) => (index < 3 ? Effect.fail(away) : Effect.void) },
      cover: { role: "Cover" }
    },
    (table) =>
      Effect.gen(function* () {
        const { pool, places } = table
        const health = () => places["first"]?.configured.health()
        yield* Effect.flip(pool.open(chosenBy(pool)))
        assert.deepInclude(health(), { state: "Failing", circuit: "Open", reason: "Unreachable" })
        const current = chosenBy(pool)
        assert.strictEqual(nameOf(current), "cover")
        assert.isUndefined(pool.preferred(anyone, current))
        yield* TestClock.adjust(199)
        assert.deepStrictEqual(attempts(table), [1, 0])
        yield* TestClock.adjust(2_000)
        assert.deepStrictEqual(attempts(table), [4, 0])
        assert.deepStrictEqual(health(), { state: "Healthy", circuit: "Closed", sessions: 0 })
        assert.strictEqual(nameOf(pool.preferred(anyone, current)), "first")
        assert.strictEqual(nameOf(pool.choose(anyone)), "first")
      })
  )

  told(
    "is asked whether it is there without a session, where it can be",
    { first: { opening: (index) => (index === 0 ? Effect.fail(away) : Effect.void), probe: Effect.void } },
    (table) =>
      Effect.gen(function* () {
        yield* Effect.flip(table.pool.open(chosenBy(table.pool)))
        assert.isUndefined(table.pool.choose(anyone))
        yield* TestClock.adjust(table.pool.waitMs(anyone))
        assert.strictEqual(nameOf(table.pool.choose(anyone)), "first")
        assert.deepStrictEqual(attempts(table), [1])
      })
  )

  told(
    "is asked for a session now and then, where nothing answers the question whether it is there",
    { first: { opening: (index) => (index === 0 ? Effect.fail(away) : Effect.void), probe: Effect.fail(away) } },
    (table) =>
      Effect.gen(function* () {
        yield* Effect.flip(table.pool.open(chosenBy(table.pool)))
        table.pool.choose(anyone)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(nameOf(table.pool.choose(anyone)), "first")
        assert.deepStrictEqual(attempts(table), [2])
      })
  )

  const world = { isThere: false }
  const unlessHanging = Effect.suspend(() => (world.isThere ? Effect.void : Effect.never))
  told(
    "by leaving a probe without an answer is asked by another, which finds it back within seconds",
    { first: { opening: (index) => (index === 0 ? Effect.fail(away) : Effect.void), probe: unlessHanging } },
    ({ pool }) =>
      Effect.gen(function* () {
        yield* Effect.flip(pool.open(chosenBy(pool)))
        pool.choose(anyone)
        yield* TestClock.adjust("20 seconds")
        assert.isUndefined(pool.choose(anyone))
        world.isThere = true
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(nameOf(pool.choose(anyone)), "first")
      })
  )

  told(
    "by leaving a session half open while it answers others gives the voice back",
    { first: { opening: (index) => (index === 0 ? Effect.never : Effect.void), probe: Effect.void } },
    ({ pool }) =>
      Effect.gen(function* () {
        const opening = yield* Effect.forkScoped(Effect.flip(pool.open(chosenBy(pool))))
        yield* TestClock.adjust(4_900)
        assert.isUndefined(opening.pollUnsafe())
        yield* TestClock.adjust(200)
        assert.strictEqual((yield* Fiber.join(opening)).detail, "it answers, but opens no session")
        yield* TestClock.adjust(pool.waitMs(anyone))
        yield* pool.open(chosenBy(pool))
      })
  )

  told(
    "only because it starts is not taken for one that hangs",
    { first: { opening: () => Effect.sleep("100 seconds"), probe: Effect.sleep("100 seconds") } },
    ({ pool, places }) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(pool.open(chosenBy(pool)))
        yield* TestClock.adjust("101 seconds")
        assert.strictEqual(places["first"]?.configured.health().sessions, 1)
      })
  )

  told(
    "is probed every second at most, and only while somebody wants it",
    { first: { opening: () => Effect.fail(away) }, cover: { role: "Cover" } },
    (table) =>
      Effect.gen(function* () {
        yield* Effect.flip(table.pool.open(chosenBy(table.pool)))
        table.pool.choose(anyone)
        yield* TestClock.adjust("30 seconds")
        const [probes = 0] = attempts(table)
        assert.isAtLeast(probes, 25)
        assert.isAtMost(probes, 40)
        yield* TestClock.adjust("40 seconds")
        const later = attempts(table)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(attempts(table), later)
        table.pool.choose(anyone)
        yield* TestClock.adjust("1 second")
        assert.isAbove(attempts(table)[0] ?? 0, later[0] ?? 0)
      })
  )

  told(
    "with a refusal is left alone for a minute",
    { first: { opening: () => Effect.fail(refused) }, cover: { role: "Cover" } },
    (table) =>
      Effect.gen(function* () {
        yield* Effect.flip(table.pool.open(chosenBy(table.pool)))
        table.pool.choose(anyone)
        yield* TestClock.adjust(59_999)
        assert.deepStrictEqual(attempts(table), [1, 0])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(attempts(table), [2, 0])
      })
  )

  told(
    "by accepting and closing is left alone longer and longer, to 10 s",
    { first: { probe: Effect.void } },
    ({ pool }) =>
      Effect.gen(function* () {
        const rests: Array<number> = []
        for (let turn = 0; turn < 9; turn++) {
          const chosen = chosenBy(pool)
          yield* Effect.scoped(pool.open(chosen))
          yield* TestClock.adjust(50)
          yield* pool.lost(chosen, closed, 50)
          rests.push(pool.waitMs(anyone))
          yield* TestClock.adjust(pool.waitMs(anyone))
        }
        const expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]
        for (const [index, rest] of rests.entries())
          assert.closeTo(rest, expected[index] ?? 0, (expected[index] ?? 0) * 0.2 + 150)
      })
  )

  told("only once after minutes is asked again at once", { first: {}, cover: { role: "Cover" } }, ({ pool, places }) =>
    Effect.gen(function* () {
      const chosen = chosenBy(pool)
      const session = yield* Scope.make()
      yield* Scope.provide(pool.open(chosen), session)
      yield* TestClock.adjust("3 minutes")
      yield* pool.lost(chosen, closed, 180_000)
      yield* Scope.close(session, Exit.void)
      assert.strictEqual(nameOf(pool.choose(anyone)), "first")
      assert.deepStrictEqual(places["first"]?.configured.health(), { state: "Healthy", circuit: "Closed", sessions: 0 })
    })
  )

  told("has its budget back after ten good seconds, not after a word", { first: { probe: Effect.void } }, ({ pool }) =>
    Effect.gen(function* () {
      for (let turn = 0; turn < 6; turn++) {
        yield* pool.lost(chosenBy(pool), closed, 50)
        yield* TestClock.adjust(pool.waitMs(anyone))
      }
      yield* TestClock.adjust("10 seconds")
      yield* pool.lost(chosenBy(pool), closed, 9_000)
      assert.isAtMost(pool.waitMs(anyone), 300 + 150)
    })
  )

  told(
    "says nothing against itself when sessions from before its trouble end in the midst of its health",
    { first: { probe: Effect.void } },
    ({ pool }) =>
      Effect.gen(function* () {
        const chosen = chosenBy(pool)
        yield* TestClock.adjust(1_000)
        yield* pool.lost(chosen, closed, 1_000)
        yield* TestClock.adjust(pool.waitMs(anyone))
        assert.strictEqual(nameOf(pool.choose(anyone)), "first")
        yield* pool.lost(chosen, closed, 2_000)
        assert.strictEqual(nameOf(pool.choose(anyone)), "first")
      })
  )

  told(
    "with a bug is one that fails, for voices and for probes",
    { first: { opening: () => Effect.die(new Error("a bug")) }, cover: { role: "Cover" } },
    (table) =>
      Effect.gen(function* () {
        yield* Effect.exit(table.pool.open(chosenBy(table.pool)))
        assert.strictEqual(nameOf(table.pool.choose(anyone)), "cover")
        yield* TestClock.adjust("5 seconds")
        assert.isAtLeast(attempts(table)[0] ?? 0, 4)
      })
  )
})

describe("why nobody is chosen", () => {
  const english = speaking("en")
  const french = speaking("fr")
  told(
    "is asked of those who know the language and may hear the voice, not of all",
    {
      english: { capabilities: { languages: languagesOf(["en"]), local: false }, opening: () => Effect.fail(refused) },
      both: { capabilities: { languages: languagesOf(["en", "fr"]), local: false }, opening: () => Effect.fail(away) }
    },
    ({ pool }) =>
      Effect.gen(function* () {
        assert.strictEqual(pool.trouble(speaking("en", { privacy: "local-only" })), "NotAllowed")
        assert.isUndefined(pool.trouble(english))
        yield* Effect.flip(pool.open(chosenBy(pool, english)))
        assert.isUndefined(pool.trouble(english))
        yield* Effect.flip(pool.open(chosenBy(pool, english)))
        assert.deepStrictEqual([pool.trouble(english), pool.trouble(french)], ["Away", "Away"])
      })
  )

  told(
    "is a refusal when all of them refuse, whatever others do",
    {
      english: { capabilities: { languages: languagesOf(["en"]) }, opening: () => Effect.fail(refused) },
      french: { capabilities: { languages: languagesOf(["fr"]) } }
    },
    ({ pool }) =>
      Effect.gen(function* () {
        yield* Effect.flip(pool.open(chosenBy(pool, english)))
        assert.deepStrictEqual([pool.trouble(english), pool.trouble(french)], ["Refused", undefined])
      })
  )
})

describe("an engine with few sessions", () => {
  told(
    "is passed over when it is full; alone it is asked all the same, by one voice at a time, and does not count as failing",
    { first: { capabilities: { maxSessions: 2 }, opening: (index) => (index < 2 ? Effect.void : Effect.fail(busy)) } },
    (table) =>
      Effect.gen(function* () {
        const { pool, places } = table
        const session = yield* Scope.make()
        yield* Scope.provide(pool.open(chosenBy(pool)), session)
        yield* pool.open(chosenBy(pool))
        const chosen = chosenBy(pool)
        assert.strictEqual((yield* Effect.flip(pool.open(chosen))).reason, "Busy")
        assert.isUndefined(pool.choose(anyone))
        assert.isAtMost(pool.waitMs(anyone), 150)
        assert.isAbove(pool.waitMs(anyone), 0)
        assert.deepInclude(places["first"]?.configured.health(), { circuit: "Closed", state: "Healthy", sessions: 2 })
        yield* TestClock.adjust(1_000)
        assert.strictEqual((yield* Effect.flip(pool.open(chosenBy(pool)))).reason, "Busy")
        assert.isUndefined(pool.choose(anyone))
        yield* Scope.close(session, Exit.void)
        assert.strictEqual(nameOf(pool.choose(anyone)), "first")
      })
  )

  told(
    "counts those that are being opened",
    { first: { capabilities: { maxSessions: 1 }, opening: () => Effect.never }, cover: { role: "Cover" } },
    ({ pool }) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(pool.open(chosenBy(pool)))
        yield* TestClock.adjust(0)
        assert.strictEqual(nameOf(pool.choose(anyone)), "cover")
      })
  )
})

describe("waking", () => {
  const probes = { count: 0, answer: Deferred.makeUnsafe<void, EngineError>() }
  told(
    "asks primary engines that can be asked, one at a time and not again within a minute",
    {
      first: {
        probe: Effect.suspend(() => {
          probes.count += 1
          return Deferred.await(probes.answer)
        })
      },
      deaf: {},
      cover: { role: "Cover", probe: Effect.die(new Error("nobody asked for a cover")) }
    },
    (table) =>
      Effect.gen(function* () {
        for (let call = 0; call < 5; call++) yield* table.pool.prepare(anyone)
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(probes.count, 1)
        Deferred.doneUnsafe(probes.answer, Effect.void)
        yield* TestClock.adjust("50 seconds")
        yield* table.pool.prepare(anyone)
        yield* TestClock.adjust(0)
        assert.strictEqual(probes.count, 1)
        yield* TestClock.adjust("11 seconds")
        yield* table.pool.prepare(anyone)
        yield* TestClock.adjust(0)
        assert.strictEqual(probes.count, 2)
        assert.deepStrictEqual(attempts(table), [0, 0, 0])
      })
  )

  told(
    "an engine that is away makes the first voice ask the next one",
    { first: { probe: Effect.fail(away) }, cover: { role: "Cover" } },
    ({ pool }) =>
      Effect.gen(function* () {
        yield* pool.prepare(anyone)
        yield* TestClock.adjust(0)
        assert.strictEqual(nameOf(pool.choose(anyone)), "cover")
      })
  )
})
