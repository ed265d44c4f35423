/** The NeMo module of a tldw server, of both times, as an engine does what every engine promises. */
import { describe, it } from "@effect/vitest"
import { Effect, Metric, Redacted } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as TldwEngine from "../../src/layers/TldwEngine.ts"
import * as TldwSimulator from "../../src/layers/TldwSimulator.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const KEY = "key-hunter2"

const harnessOf = (era: "2024" | "today", model: string): Conformance.Harness => ({
  secrets: [KEY],
  start: Effect.gen(function* () {
    const server = yield* TldwSimulator.make({ era, key: KEY })
    const audio = era === "today" ? "pcm16" : "float32"
    return {
      engine: yield* TldwEngine.make({
        url: server.url,
        key: Redacted.make(KEY),
        model,
        variant: "standard",
        audio
      }),
      connections: () => server.counters().active,
      crash: server.crash,
      hangUp: () => server.close(1000),
      halfOpen: server.halfOpen,
      babble: server.inject,
      refuse: () => server.behave("refuse")
    }
  })
})

for (const [era, model] of [
  ["today", "parakeet"],
  ["2024", "canary"]
] as const)
  describe(`TldwEngine with ${model}, a server of ${era}`, () => {
    for (const check of Conformance.checks)
      it.live(check.name, () =>
        check
          .run(BusyMachine.patient(harnessOf(era, model)))
          .pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )
  })
