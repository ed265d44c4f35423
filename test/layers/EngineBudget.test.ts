import { assert, describe, it } from "@effect/vitest"
import * as EngineBudget from "../../src/layers/EngineBudget.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import { away, busy, closed, refused } from "../support/EngineTable.ts"

type How = Partial<Omit<EngineBudget.Failure, "error">>
const failure = (error: EngineError, how: How = {}): EngineBudget.Failure => ({
  error,
  worked: false,
  hasPage: true,
  isAwaited: false,
  ...how
})

/** Eight times in a row; the first time it had worked. */
const restsOf = (error: EngineError, how: How, random = 0.5) => {
  const budget = EngineBudget.make(() => random)
  return Array.from({ length: 8 }, (_, time) => {
    const one = failure(error, { worked: time === 0, ...how })
    const restMs = budget.restMs(one)
    budget.spend(one)
    return Math.round(restMs)
  })
}

describe("an engine that failed is left alone", () => {
  it("for 250 ms, doubling to 10 s, where it works each time and sessions do not last", () => {
    const expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]
    assert.deepStrictEqual(restsOf(away, { worked: true }), expected)
    assert.deepStrictEqual(restsOf(closed, { worked: true, isAwaited: true }), expected)
  })

  it("for 1 s at most where a probe finds nobody, for 0.7 s while speech waits", () => {
    assert.deepStrictEqual(restsOf(away, {}), [250, 500, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000])
    assert.deepStrictEqual(restsOf(closed, { isAwaited: true }), [250, 500, 700, 700, 700, 700, 700, 700])
  })

  it("not longer for what probes found the last times it was away", () => {
    const budget = EngineBudget.make(() => 0.5)
    budget.spend({ worked: true })
    for (let probe = 0; probe < 20; probe++) budget.spend({ worked: false })
    assert.strictEqual(budget.restMs(failure(closed, { worked: true })), 500)
  })

  it("when it is full as if it were away where a page says so, ever longer where sessions had to be asked for", () => {
    assert.deepStrictEqual(restsOf(busy, {}), restsOf(away, {}))
    assert.deepStrictEqual(restsOf(busy, { hasPage: false, isAwaited: true }), restsOf(away, { worked: true }))
  })

  it("for as long as it asked for, and a little more, but not longer than a minute", () => {
    const patient = (retryAfterMs: number) => new EngineError({ reason: "Busy", detail: "later", retryAfterMs })
    const restMs = (error: EngineError, random: number) =>
      EngineBudget.make(() => random).restMs(failure(error, { isAwaited: true }))
    assert.strictEqual(restMs(patient(20_000), 0), 20_000)
    assert.strictEqual(restMs(patient(20_000), 1), 24_000)
    assert.strictEqual(restMs(patient(3_600_000), 0), 60_000)
    assert.strictEqual(restMs(patient(0), 0.5), restMs(busy, 0.5))
  })

  it("for a fifth less to a fifth more", () => {
    assert.strictEqual(restsOf(away, {}, 0)[0], 200)
    assert.strictEqual(restsOf(away, {}, 1)[0], 300)
  })

  it("for a minute after a refusal, also while speech waits", () => {
    assert.deepStrictEqual(new Set(restsOf(refused, { isAwaited: true })), new Set([60_000]))
  })

  it("as at first, when it has shown meanwhile that it works", () => {
    const budget = EngineBudget.make(() => 0.5)
    budget.spend({ worked: true })
    budget.spend({ worked: true })
    budget.reset()
    assert.strictEqual(budget.restMs(failure(away, { worked: true })), 250)
  })
})
