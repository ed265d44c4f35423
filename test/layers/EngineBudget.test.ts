import { assert, describe, it } from "@effect/vitest"
import * as EngineBudget from "../../src/layers/EngineBudget.ts"
import { away, busy, closed, refused } from "../support/EngineTable.ts"

const restsOf = (error: typeof away, by: EngineBudget.Learner, random = 0.5) => {
  const budget = EngineBudget.make(() => random)
  return Array.from({ length: 8 }, () => {
    const restMs = budget.restMs(error, by)
    budget.spend()
    return Math.round(restMs)
  })
}

describe("an engine that failed is left alone", () => {
  it("for 250 ms, doubling to 10 s, for 1 s at most where only a probe finds nobody", () => {
    assert.deepStrictEqual(restsOf(away, "Voice"), [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    assert.deepStrictEqual(restsOf(closed, "Probe"), [250, 500, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000])
    assert.deepStrictEqual(restsOf(busy, "Probe"), restsOf(away, "Voice"))
  })

  it("for a fifth less to a fifth more", () => {
    assert.strictEqual(restsOf(away, "Voice", 0)[0], 200)
    assert.strictEqual(restsOf(away, "Voice", 1)[0], 300)
  })

  it("for a minute after a refusal", () => {
    assert.deepStrictEqual(new Set(restsOf(refused, "Voice")), new Set([60_000]))
  })

  it("as at first, when it has shown meanwhile that it works", () => {
    const budget = EngineBudget.make(() => 0.5)
    budget.spend()
    budget.spend()
    budget.reset()
    assert.strictEqual(budget.restMs(away, "Voice"), 250)
  })
})
