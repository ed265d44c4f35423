/**
 * Promise: a call that goes from one runner to another is read on word by word, none lost and none twice, and never captioned by both: at any moment of
 * speech, through cuts of the HPB and of engines, and whoever of the two dies on the way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { handOverFaults, play } from "../support/HandOverCall.ts"

/** ms; a call takes 200, on a busy machine several times that. */
const PATIENCE = 300_000

describe("a call that is handed over is read on word by word", () => {
  for (const from of [0, 15])
    it.live(
      `in the calls ${from} to ${from + 14}`,
      () =>
        Effect.gen(function* () {
          const seeds = Array.from({ length: 15 }, (_, index) => from + index)
          const outcomes = yield* Effect.forEach(seeds, (seed) => play(seed))
          const wrong = outcomes.filter(({ complaints }) => complaints.length > 0)
          const stories = wrong.map(({ complaints, seed, story }) =>
            [`seed ${seed}`, ...complaints, ...story].join("\n")
          )
          assert.strictEqual(wrong.length, 0, stories.slice(0, 2).join("\n\n"))
          const all = outcomes.flatMap(({ faults }) => faults)
          for (const fault of handOverFaults) assert.isAtLeast(all.filter((one) => one === fault).length, 1, fault)
          assert.isAtLeast(
            outcomes.reduce((sum, { moved }) => sum + moved, 0),
            15
          )
          const words = outcomes.reduce((sum, one) => sum + one.words, 0)
          assert.isBelow(
            outcomes.reduce((sum, { excused }) => sum + excused, 0),
            words / 4,
            "too much is excused"
          )
        }),
      PATIENCE
    )
})
