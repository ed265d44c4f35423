/** More of the scenarios of `KillLosesNoWord.test.ts`, for another worker. */
import { describe } from "@effect/vitest"
import { playKills } from "../support/ChaosSeeds.ts"

describe("no word is lost or said twice when the process is killed", () => {
  playKills(150, 300)
})
