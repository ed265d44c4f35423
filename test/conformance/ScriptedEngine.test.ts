import { describe, it } from "@effect/vitest"
import * as Conformance from "../../src/conformance/index.ts"
import * as BusyMachine from "../support/BusyMachine.ts"
import * as ScriptedHarness from "../support/ScriptedHarness.ts"

const harness = ScriptedHarness.make()

describe("an engine of a script", () => {
  for (const check of Conformance.checks) it.live(check.name, () => check.run(BusyMachine.patient(harness)))
})
