/** Kyutai's moshi-server as an engine does what every engine promises. */
import { describe, it } from "@effect/vitest"
import { Effect, Metric, Redacted } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as MoshiEngine from "../../src/layers/MoshiEngine.ts"
import * as MoshiSimulator from "../../src/layers/MoshiSimulator.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const KEY = "token-hunter2"

const harnessOf = (model: "1b" | "2.6b"): Conformance.Harness => ({
  secrets: [KEY],
  start: Effect.gen(function* () {
    const server = yield* MoshiSimulator.make({ keys: [KEY], model })
    return {
      engine: yield* MoshiEngine.make({ url: server.url, key: Redacted.make(KEY) }),
      connections: () => server.counters().active,
      crash: () => server.kill("crash"),
      hangUp: () => server.kill("close"),
      halfOpen: server.halfOpen,
      babble: server.inject,
      refuse: () => server.behave("refuse")
    }
  })
})

for (const model of ["1b", "2.6b"] as const)
  describe(`MoshiEngine, ${model} model`, () => {
    for (const check of Conformance.checks)
      it.live(check.name, () =>
        check.run(BusyMachine.patient(harnessOf(model))).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )
  })
