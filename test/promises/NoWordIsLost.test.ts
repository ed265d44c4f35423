/**
 * Promise 3: whatever engines do, every word that one of them could still hear is read once and in order; and all else that the Transcriber
 * promises holds. Random voices, engines and faults on the test clock; a seed that fails names the command that plays it again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { engineFaultNames } from "../../tools/chaos/deterministic/EngineFaults.ts"
import * as Scenario from "../../tools/chaos/deterministic/Scenario.ts"
import * as Suite from "../../tools/chaos/deterministic/Suite.ts"
import { playSeeds } from "../support/ChaosSeeds.ts"

describe("no word is lost, whatever engines do", () => {
  playSeeds(0, 400)
})

describe("the scenarios", () => {
  it("are the same from the same seed, and have every fault in them many times", () => {
    assert.deepStrictEqual(Scenario.make(7), Scenario.make(7))
    const planned = Array.from({ length: 1200 }, (_, seed) => Scenario.make(seed)).flatMap(({ engines }) =>
      engines.flatMap(({ faults }) => faults.map(({ kind }) => kind))
    )
    for (const name of engineFaultNames) assert.isAbove(planned.filter((kind) => kind === name).length, 50, name)
  })

  it.live("play the same from the same seed", () =>
    Effect.gen(function* () {
      const one = yield* Suite.tellOne(3)
      assert.deepStrictEqual(yield* Suite.tellOne(3), one)
    })
  )
})
