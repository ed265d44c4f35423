/** Hundreds of voices that lose the same engine come back to it, or go to the next one, without any server meeting them all at once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Metric, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { LanguageId } from "../../src/domain/Language.ts"
import * as EnginePool from "../../src/layers/EnginePool.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import type { EngineError } from "../../src/services/SpeechEngine.ts"
import { away, closed, type Placed, place } from "../support/EngineTable.ts"

const VOICES = 500
const OPENING_MS = 100

/** An engine that takes 100 ms for a session, and how many it was asked for at a time. */
const server = (isThere: () => boolean) => {
  const seen = { opening: 0, most: 0, failed: 0 }
  const opening = (): Effect.Effect<void, EngineError> =>
    Effect.gen(function* () {
      seen.opening += 1
      seen.most = Math.max(seen.most, seen.opening)
      yield* Effect.sleep(OPENING_MS)
      if (isThere()) return
      seen.failed += 1
      return yield* away
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          seen.opening -= 1
        })
      )
    )
  return { seen, opening }
}

/** One voice that wants a session, as the Transcriber asks for one; gives the name of the engine and after how many ms. */
const comeBack = Effect.fnUntraced(function* (pool: EnginePool.EnginePool, scope: Scope.Scope) {
  const now = yield* monotonicMs
  const lostMs = now()
  const voice: EnginePool.Asking = { language: () => LanguageId.make("en") }
  for (;;) {
    const chosen = pool.choose(voice)
    if (chosen === undefined) {
      yield* Effect.sleep(pool.waitMs(voice))
      continue
    }
    const opened = yield* Effect.exit(Scope.provide(pool.open(chosen), scope))
    if (Exit.isSuccess(opened)) return { engine: chosen.configured.engine.capabilities.name, afterMs: now() - lostMs }
  }
})

const scene = Effect.fnUntraced(function* (engines: Readonly<Record<string, Placed>>, livedMs: number) {
  const places = yield* Effect.forEach(Object.entries(engines), ([name, placed]) => place(name, placed))
  const pool = yield* EnginePool.make(places.map(({ configured }) => configured))
  const chosen = pool.choose({ language: () => LanguageId.make("en") })
  if (chosen === undefined) throw new Error("nobody was chosen")
  yield* TestClock.adjust(livedMs)
  const scope = yield* Scope.make()
  return {
    /** All lose their session at this moment and want another. */
    lose: Effect.gen(function* () {
      for (let voice = 0; voice < VOICES; voice++) yield* pool.lost(chosen, closed, livedMs)
      return yield* Effect.forkScoped(
        Effect.all(
          Array.from({ length: VOICES }, () => comeBack(pool, scope)),
          { concurrency: "unbounded" }
        )
      )
    })
  }
})

const alone = <A, E>(body: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.provideService(body, Metric.MetricRegistry, new Map()).pipe(Random.withSeed("herd"))
const longest = (all: ReadonlyArray<{ readonly afterMs: number }>) => Math.max(...all.map(({ afterMs }) => afterMs))

describe("500 voices that lose one engine at the same moment", () => {
  for (const livedMs of [120_000, 200])
    it.effect(`after ${livedMs} ms are all back on it in turns of 16`, () =>
      alone(
        Effect.gen(function* () {
          const { opening, seen } = server(() => true)
          const { lose } = yield* scene({ first: { opening } }, livedMs)
          const losing = yield* lose
          yield* TestClock.adjust("20 seconds")
          const back = yield* Fiber.join(losing)
          assert.strictEqual(back.length, VOICES)
          assert.isAtMost(seen.most, 16)
          // the turns themselves, and where it had failed young its rest, one probe and one look
          const turnsMs = Math.ceil(VOICES / 16) * OPENING_MS
          assert.isAtMost(longest(back), turnsMs + (livedMs > 60_000 ? 0 : 300 + OPENING_MS + 150))
        })
      )
    )

  it.effect(
    "that is dead are with the next one within its turns; the dead one is asked by 16 and then by one probe",
    () =>
      alone(
        Effect.gen(function* () {
          const first = server(() => false)
          const cover = server(() => true)
          const { lose } = yield* scene(
            { first: { opening: first.opening }, cover: { opening: cover.opening, role: "Cover" } },
            120_000
          )
          const losing = yield* lose
          yield* TestClock.adjust("5 seconds")
          const back = yield* Fiber.join(losing)
          assert.deepStrictEqual(new Set(back.map(({ engine }) => engine)), new Set(["cover"]))
          assert.isAtMost(longest(back), Math.ceil(VOICES / 16) * OPENING_MS + OPENING_MS)
          assert.isAtMost(Math.max(first.seen.most, cover.seen.most), 16)
          assert.isAtMost(first.seen.failed, 16 + 5)
        })
      )
  )

  it.effect("that is dead for a while and alone are all back within 2 s of it and their turns", () =>
    alone(
      Effect.gen(function* () {
        let isThere = false
        const { opening, seen } = server(() => isThere)
        const { lose } = yield* scene({ first: { opening } }, 120_000)
        const losing = yield* lose
        yield* TestClock.adjust("45 seconds")
        assert.isAtMost(seen.failed, 16 + 60)
        isThere = true
        yield* TestClock.adjust("10 seconds")
        const back = yield* Fiber.join(losing)
        assert.isAtMost(longest(back), 45_000 + 2_000 + Math.ceil(VOICES / 16) * OPENING_MS)
        assert.isAtMost(Math.min(...back.map(({ afterMs }) => afterMs)), 45_000 + 2_000)
        assert.isAtMost(seen.most, 16)
      })
    )
  )

  it.effect(
    "and find the next one dead too: both are asked by one probe, and all are back within 2 s and their turns",
    () =>
      alone(
        Effect.gen(function* () {
          let isThere = false
          const first = server(() => isThere)
          const cover = server(() => isThere)
          const engines = {
            first: { opening: first.opening },
            cover: { opening: cover.opening, role: "Cover" }
          } as const
          const { lose } = yield* scene(engines, 120_000)
          const losing = yield* lose
          yield* TestClock.adjust("10 seconds")
          for (const { seen } of [first, cover]) assert.isAtMost(seen.failed, 16 + 20)
          isThere = true
          yield* TestClock.adjust("10 seconds")
          const back = yield* Fiber.join(losing)
          assert.isAtMost(Math.min(...back.map(({ afterMs }) => afterMs)), 10_000 + 1_200)
          assert.isAtMost(longest(back), 10_000 + 1_200 + Math.ceil(VOICES / 16) * OPENING_MS)
          assert.isAtMost(Math.max(first.seen.most, cover.seen.most), 16)
        })
      )
  )
})
