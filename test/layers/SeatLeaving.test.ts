import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { RoomToken } from "../../src/domain/Call.ts"
import { Incarnation, RunnerAddress } from "../../src/domain/Seat.ts"
import * as SeatLeaving from "../../src/layers/SeatLeaving.ts"

const room = RoomToken.make("room")
const runner = (name: string) => ({
  incarnation: Incarnation.make(name),
  address: RunnerAddress.make(`${name}:1`),
  work: 0
})

/** A runner with one call ends, beside others: `answer` is what becomes of the offers to them, from the first on; `endedMs`: when it has ended. */
const leaving = Effect.fnUntraced(function* (
  others: ReadonlyArray<string>,
  answer: (nth: number, to: RunnerAddress, give: () => void) => Effect.Effect<void, string>
) {
  const clock = yield* Clock.Clock
  const scene = {
    isHere: true,
    ended: new Set<Incarnation>(),
    asked: [] as Array<RunnerAddress>,
    lines: [] as Array<string>,
    endedMs: undefined as number | undefined
  }
  yield* SeatLeaving.leave({
    calls: [{ room, work: 1 }],
    others: others.map(runner),
    isHere: () => scene.isHere,
    ends: ({ incarnation }) => Effect.sync(() => scene.ended.has(incarnation)),
    offer: (_, to) =>
      Effect.suspend(() =>
        answer(scene.asked.push(to), to, () => {
          scene.isHere = false
        })
      )
  }).pipe(
    Effect.andThen(
      Effect.sync(() => {
        scene.endedMs = clock.currentTimeMillisUnsafe()
      })
    ),
    Effect.provide(Logger.layer([Logger.make(({ message }) => void scene.lines.push(String(message)))])),
    Effect.forkChild
  )
  return scene
})

describe("the calls of a runner that ends", () => {
  it.effect("are offered again where whoever took one has stayed out of it", () =>
    Effect.gen(function* () {
      const scene = yield* leaving(["other"], (nth, _, give) =>
        Effect.sync(() => {
          if (nth === 2) give()
        })
      )
      yield* TestClock.adjust("1 second")
      assert.isDefined(scene.endedMs)
      assert.deepStrictEqual(scene.lines, [])
    })
  )

  it.effect("are waited for, and offered again, where nobody answered", () =>
    Effect.gen(function* () {
      const scene = yield* leaving(["other"], (nth, _, give) =>
        nth < 3 ? Effect.fail("no answer") : Effect.sync(give)
      )
      yield* TestClock.adjust("900 millis")
      assert.isUndefined(scene.endedMs)
      yield* TestClock.adjust("500 millis")
      assert.isDefined(scene.endedMs)
    })
  )

  it.effect("are offered to one at a time, and to the next when that one ends", () =>
    Effect.gen(function* () {
      const scene = yield* leaving(["first", "second"], (_, to, give) =>
        Effect.sync(() => {
          if (to === "second:1") give()
        })
      )
      yield* TestClock.adjust("1200 millis")
      assert.deepStrictEqual(new Set(scene.asked), new Set([RunnerAddress.make("first:1")]))
      scene.ended.add(Incarnation.make("first"))
      yield* TestClock.adjust("800 millis")
      assert.isDefined(scene.endedMs)
      assert.deepStrictEqual(scene.lines, [])
    })
  )

  it.effect("end with it when nobody takes them within 2.5 s, which is said", () =>
    Effect.gen(function* () {
      const scene = yield* leaving(["other"], () => Effect.void)
      yield* TestClock.adjust("2400 millis")
      assert.isUndefined(scene.endedMs)
      yield* TestClock.adjust("100 millis")
      assert.isDefined(scene.endedMs)
      assert.strictEqual(scene.lines.length, 1)
    })
  )

  it.effect("wait for nobody where all end", () =>
    Effect.gen(function* () {
      const alone = yield* leaving([], () => Effect.void)
      const scene = yield* leaving(["other"], () => Effect.void)
      yield* TestClock.adjust("1 millis")
      assert.isDefined(alone.endedMs)
      scene.ended.add(Incarnation.make("other"))
      yield* TestClock.adjust("200 millis")
      assert.isDefined(scene.endedMs)
      assert.deepStrictEqual([...alone.lines, ...scene.lines], [])
    })
  )
})
