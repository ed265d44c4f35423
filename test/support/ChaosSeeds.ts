/**
 * Seeds of the chaos suite as tests: groups of scenarios, so that several workers share them and a failing one is named.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Suite from "../../tools/chaos/deterministic/Suite.ts"

const GROUP = 50
/** ms; a scenario takes 40, on a busy machine several times that. */
const PATIENCE = 120_000

/** One test for each 50 seeds. */
export const playSeeds = (from: number, to: number): void => {
  for (let first = from; first < to; first += GROUP)
    it.live(
      `in the scenarios ${first} to ${first + GROUP - 1}`,
      () =>
        Effect.gen(function* () {
          const { failures, scenarios } = yield* Suite.run(first, GROUP)
          assert.strictEqual(scenarios, GROUP)
          const seeds = failures.map(({ seed }) => seed).join(" ")
          const stories = failures.map(({ story }) => story).join("\n\n")
          assert.deepStrictEqual(failures.length, 0, `seeds ${seeds}\n\n${stories}`)
        }),
      PATIENCE
    )
}
