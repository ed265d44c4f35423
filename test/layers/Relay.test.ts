import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import * as Relay from "../../src/layers/Relay.ts"

const setUp = () => {
  const waiting = Relay.line<number>()
  return { waiting, relay: Relay.make<number, string>(waiting), seen: [] as number[] }
}

describe("Relay", () => {
  it.effect("gives what comes to the reader before whoever puts it goes on, behind what waited", () =>
    Effect.gen(function* () {
      const { relay, seen, waiting } = setUp()
      relay.put(1)
      relay.put(2)
      assert.strictEqual(waiting.size(), 2)
      const reading = yield* Effect.forkChild(
        relay.read((one) => {
          seen.push(one)
          return undefined
        })
      )
      yield* TestClock.adjust(0)
      relay.put(3)
      assert.deepStrictEqual(seen, [1, 2, 3])
      relay.end(Effect.fail("over"))
      relay.end(Effect.fail("over twice"))
      assert.strictEqual(yield* Effect.flip(Fiber.join(reading)), "over")
    })
  )

  it.effect("keeps what comes while the reader waits, in order, and ends behind it", () =>
    Effect.gen(function* () {
      const { relay, seen, waiting } = setUp()
      const roomy = Latch.makeUnsafe(false)
      const reading = yield* Effect.forkChild(
        relay.read((one) => {
          seen.push(one)
          return one % 2 === 1 ? roomy.await : undefined
        })
      )
      yield* TestClock.adjust(0)
      for (const one of [1, 2, 3, 4]) relay.put(one)
      assert.deepStrictEqual(seen, [1])
      relay.end(Effect.fail("over"))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([seen, waiting.size()], [[1], 3])
      roomy.openUnsafe()
      assert.strictEqual(yield* Effect.flip(Fiber.join(reading)), "over")
      assert.deepStrictEqual(seen, [1, 2, 3, 4])
    })
  )

  it.effect("what the reader throws or fails with ends the reading and reaches nobody else", () =>
    Effect.gen(function* () {
      for (const wrong of ["throws", "fails"]) {
        const { relay } = setUp()
        const reading = yield* Effect.forkChild(
          relay.read(() => {
            if (wrong === "throws") throw new Error(wrong)
            return Effect.fail(wrong)
          })
        )
        yield* TestClock.adjust(0)
        relay.put(1)
        const exit = yield* Fiber.await(reading)
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) assert.strictEqual(Cause.hasDies(exit.cause), wrong === "throws")
      }
    })
  )

  it.effect("what a reader brings about by taking one comes behind that, and nothing of it is left out", () =>
    Effect.gen(function* () {
      const { relay, seen } = setUp()
      const reading = yield* Effect.forkChild(
        relay.read((one) => {
          if (one === 1) {
            relay.put(2)
            relay.end(Effect.fail("over"))
          }
          return Effect.sync(() => {
            seen.push(one)
          })
        })
      )
      yield* TestClock.adjust(0)
      relay.put(1)
      assert.strictEqual(yield* Effect.flip(Fiber.join(reading)), "over")
      assert.deepStrictEqual(seen, [1, 2])
    })
  )

  it.effect("a reader that is ended by what it takes is given no more", () =>
    Effect.gen(function* () {
      const { relay, seen } = setUp()
      const reading: Fiber.Fiber<never, string> = yield* Effect.forkChild(
        relay.read((one) => {
          seen.push(one)
          relay.put(one + 1)
          reading.interruptUnsafe()
          return Effect.never
        })
      )
      yield* TestClock.adjust(0)
      relay.put(1)
      yield* Fiber.await(reading)
      relay.put(3)
      assert.deepStrictEqual([seen, yield* relay.next, yield* relay.next], [[1], 2, 3])
    })
  )

  it.effect("one who stops reading takes nothing with him: the next goes on", () =>
    Effect.gen(function* () {
      const { relay, seen } = setUp()
      const reading = yield* Effect.forkChild(relay.read(() => undefined))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(reading)
      relay.put(1)
      relay.put(2)
      assert.strictEqual(yield* relay.next, 1)
      yield* Effect.forkChild(
        relay.read((one) => {
          seen.push(one)
          return undefined
        })
      )
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(seen, [2])
    })
  )
})
