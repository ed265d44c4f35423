import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
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

  it.effect("leaves alone who rests, until then or until it is said of another time", () =>
    Effect.gen(function* () {
      const ticker = yield* Ticker.every(20)
      const seen: Array<string> = []
      const patient = (atMs: number) => {
        seen.push(`a ${atMs}`)
        ticker.rest(patient, atMs + 50)
      }
      const roused = (atMs: number) => seen.push(`b ${atMs}`)
      ticker.add(patient)
      ticker.add(roused)
      ticker.rest(roused, Number.POSITIVE_INFINITY)
      yield* TestClock.adjust(100)
      ticker.rest(roused, 0)
      yield* TestClock.adjust(40)
      expect(seen).toEqual(["a 20", "a 80", "b 120", "a 140", "b 140"])
      ticker.remove(roused)
      ticker.rest(roused, 0)
      yield* TestClock.adjust(20)
      expect(seen).toHaveLength(5)
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

  it.effect("begins also when whoever asked for it first is stopped in that moment", () =>
    Effect.gen(function* () {
      // wherever its fiber has a rest
      for (let place = 0; place < 60; place++) {
        const [ops, turns] = [2 + (place % 6), Math.floor(place / 6)]
        const period = 20 + place
        const asking = Ticker.every(period).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, ops))
        const first = yield* Effect.forkChild(asking)
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(first)
        const ticker = yield* Ticker.every(period)
        let looks = 0
        ticker.add(() => looks++)
        yield* TestClock.adjust(period)
        expect({ ops, turns, looks }).toEqual({ ops, turns, looks: 1 })
      }
    })
  )
})
