/**
 * Seeds of the chaos suite as tests: groups of scenarios, so that several workers share them and a failing one is named.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as KillSuite from "../../tools/chaos/deterministic/kill/Suite.ts"
import * as Suite from "../../tools/chaos/deterministic/Suite.ts"

const GROUP = 50
/** ms; a scenario takes 40, on a busy machine several times that. */
const PATIENCE = 300_000

interface Played {
  readonly scenarios: number
  readonly failures: ReadonlyArray<{ readonly seed: number; readonly story: string }>
}

const playGroups = <A extends Played>(
  from: number,
  to: number,
  run: (from: number, count: number) => Effect.Effect<A>,
  look: (played: A) => void = () => {}
): void => {
  for (let first = from; first < to; first += GROUP)
    it.live(
      `in the scenarios ${first} to ${first + GROUP - 1}`,
      () =>
        Effect.gen(function* () {
          const played = yield* run(first, GROUP)
          assert.strictEqual(played.scenarios, GROUP)
          const seeds = played.failures.map(({ seed }) => seed).join(" ")
          const stories = played.failures.map(({ story }) => story).join("\n\n")
          assert.deepStrictEqual(played.failures.length, 0, `seeds ${seeds}\n\n${stories}`)
          look(played)
        }),
      PATIENCE
    )
}

/** One test for each 50 seeds. */
export const playSeeds = (from: number, to: number): void => playGroups(from, to, Suite.run)

/** The same, of calls whose process is killed. */
export const playKills = (from: number, to: number): void =>
  playGroups(from, to, KillSuite.run, ({ excused, kills, words }) => {
    assert.isAtLeast(kills, GROUP)
    assert.isBelow(excused, words / 3, "too much is excused")
  })
