/**
 * Promise 6: what a process had heard in a call when it was killed (-9) is read once, in order, under the right name; up to 150 ms before.
 * Random voices, engines, faults and moments on the test clock; a seed that fails names the command that plays it again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Scenario from "../../tools/chaos/deterministic/kill/Scenario.ts"
import * as Suite from "../../tools/chaos/deterministic/kill/Suite.ts"
import { playKills } from "../support/ChaosSeeds.ts"

describe("no word is lost or said twice when the process is killed", () => {
  playKills(0, 150)
})

describe("the scenarios", () => {
  it("have every moment, every family of engines, one voice and two, and a second kill in them many times", () => {
    const all = Array.from({ length: 300 }, (_, seed) => Scenario.make(seed))
    assert.deepStrictEqual(all[7], Scenario.make(7))
    for (const moment of Scenario.moments) assert.isAbove(all.filter((one) => one.moment === moment).length, 40, moment)
    for (const family of ["plain", "timed", "revising", "keyed"])
      assert.isAbove(all.filter(({ engines }) => engines[0]?.family === family).length, 50, family)
    assert.isAbove(all.filter(({ speakers }) => speakers.length === 2).length, 80)
    assert.isAbove(all.filter(({ kills }) => kills.length > 1).length, 60)
  })

  it.live("play the same from the same seed", () =>
    Effect.gen(function* () {
      const one = yield* Suite.tellOne(5)
      assert.deepStrictEqual(yield* Suite.tellOne(5), one)
    })
  )
})
