import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Scope } from "effect"
import * as SetUpPace from "../../src/layers/SetUpPace.ts"

/** A loop that is late by what is said, and set-ups that last until they are ended. */
const scene = Effect.gen(function* () {
  let nowMs = 0
  let lateMs = 0
  let pauses = 0
  const pace = yield* SetUpPace.make({
    now: () => nowMs,
    pause: (ms) => {
      nowMs += ms + lateMs
      pauses++
      return Promise.resolve()
    }
  })
  const begun: Array<number> = []
  const ends: Array<Deferred.Deferred<void>> = []
  const start = Effect.fnUntraced(function* (number: number) {
    const end = yield* Deferred.make<void>()
    ends[number] = end
    yield* Effect.scoped(
      Effect.andThen(
        pace.begin,
        Effect.suspend(() => {
          begun.push(number)
          return Deferred.await(end)
        })
      )
    )
  })
  /** Nothing here waits for time: whatever can happen has happened after some turns. */
  const settle = Effect.promise(async () => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  })
  return {
    begun,
    pauses: () => pauses,
    late: (ms: number) => {
      lateMs = ms
    },
    join: Effect.fnUntraced(function* (count: number) {
      for (let n = 0; n < count; n++) yield* Effect.forkScoped(start(ends.length + n))
      yield* settle
    }),
    end: Effect.fnUntraced(function* (number: number) {
      const end = ends[number]
      if (end !== undefined) yield* Deferred.succeed(end, undefined)
      yield* settle
    })
  }
})

const pacing = (
  sentence: string,
  test: (of: Effect.Success<typeof scene>) => Effect.Effect<void, never, Scope.Scope>
) => it.effect(sentence, () => Effect.scoped(Effect.flatMap(scene, test)))

describe("The pace of set-ups", () => {
  pacing(
    "lets one begin at once, and eight one after the other, in the order they came in",
    ({ begun, end, join, pauses }) =>
      Effect.gen(function* () {
        yield* join(1)
        assert.deepStrictEqual([begun.length, pauses()], [1, 0])
        yield* join(11)
        assert.deepStrictEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7])
        assert.strictEqual(pauses(), 7)
        yield* end(3)
        yield* end(0)
        assert.deepStrictEqual(begun.slice(8), [8, 9])
      })
  )

  pacing("lets one begin at a time while the loop is late", ({ begun, end, join, late }) =>
    Effect.gen(function* () {
      late(7)
      yield* join(3)
      // Nobody waits for good behind one that cannot be set up.
      assert.deepStrictEqual(begun.slice(0, 1), [0])
      yield* end(0)
      yield* end(1)
      yield* end(2)
      assert.deepStrictEqual(begun, [0, 1, 2])
    })
  )
})
