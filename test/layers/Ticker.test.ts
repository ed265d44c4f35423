import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Ticker from "../../src/layers/Ticker.ts"

describe("Ticker", () => {
  it.effect("is one for all who want the same period", () =>
    Effect.gen(function* () {
      expect(yield* Ticker.every(20)).toBe(yield* Ticker.every(20))
      expect(yield* Ticker.every(20)).not.toBe(yield* Ticker.every(50))
    })
  )

  it.effect("has all look in one turn, at the time of the test", () =>
    Effect.gen(function* () {
      const ticker = yield* Ticker.every(20)
      const seen: Array<string> = []
      ticker.add((atMs) => seen.push(`a ${atMs}`))
      yield* TestClock.adjust(30)
      ticker.add((atMs) => seen.push(`b ${atMs}`))
      yield* TestClock.adjust(30)
      expect(seen).toEqual(["a 20", "a 40", "b 40", "a 60", "b 60"])
    })
  )

  it.effect("looks no more for who has left, also when that happens while he looks", () =>
    Effect.gen(function* () {
      const ticker = yield* Ticker.every(20)
      const seen: Array<number> = []
      const once = (atMs: number) => {
        seen.push(atMs)
        ticker.remove(once)
      }
      ticker.add(once)
      yield* TestClock.adjust(100)
      expect(seen).toEqual([20])
    })
  )

  it.effect("rests while nobody looks, and goes on with the next", () =>
    Effect.gen(function* () {
      const ticker = yield* Ticker.every(20)
      const seen: Array<number> = []
      const look = (atMs: number) => {
        seen.push(atMs)
      }
      ticker.add(look)
      yield* TestClock.adjust(20)
      ticker.remove(look)
      yield* TestClock.adjust(75)
      ticker.add(look)
      yield* TestClock.adjust(19)
      expect(seen).toEqual([20])
      yield* TestClock.adjust(1)
      expect(seen).toEqual([20, 115])
    })
  )

  it.effect("goes on for the others when one has a bug", () =>
    Effect.gen(function* () {
      const ticker = yield* Ticker.every(20)
      const seen: Array<number> = []
      let bugs = 0
      ticker.add(() => {
        bugs += 1
        throw new Error("a bug")
      })
      ticker.add((atMs) => {
        seen.push(atMs)
      })
      yield* TestClock.adjust(60)
      expect(seen).toEqual([20, 40, 60])
      expect(bugs).toBe(1)
    })
  )
})
