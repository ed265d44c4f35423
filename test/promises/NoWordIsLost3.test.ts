/** More of the scenarios of `NoWordIsLost.test.ts`, for another worker. */
import { describe } from "@effect/vitest"
import { playSeeds } from "../support/ChaosSeeds.ts"

describe("no word is lost, whatever engines do", () => {
  playSeeds(800, 1200)
})
