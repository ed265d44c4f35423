/** More of the scenarios of `KillLosesNoWord.test.ts`, for another worker. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Suite from "../../tools/chaos/deterministic/kill/Suite.ts"
import { playKills } from "../support/ChaosSeeds.ts"

describe("no word is lost or said twice when the process is killed", () => {
  playKills(150, 300)
})

/** What each of them showed first. */
const shown = {
  531: "a sentence ended within what another speaker had cut off, and was said again",
  668: "who was heard anew spoke before what was heard of the same microphone",
  1262: "a cover had not repeated yet what stood on the screens, and nobody knew it was said",
  1430: "two finals stood on the screens of a text that the engine cut elsewhere"
}

describe("seeds that were hard once", () => {
  for (const [seed, symptom] of Object.entries(shown))
    it.live(`${seed}: ${symptom}`, () =>
      Effect.gen(function* () {
        const { isKept, lines } = yield* Suite.tellOne(Number(seed))
        assert.isTrue(isKept, lines.join("\n"))
      })
    )
})
