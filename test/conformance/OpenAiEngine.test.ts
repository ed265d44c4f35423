import { describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as OpenAiSimulator from "../../src/layers/OpenAiSimulator.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const harness = (model: string): Conformance.Harness => ({
  secrets: [OpenAiSimulator.KEY],
  start: Effect.gen(function* () {
    const server = yield* OpenAiSimulator.make()
    const engine = yield* OpenAiEngine.make({ url: server.url, apiKey: Redacted.make(OpenAiSimulator.KEY), model })
    return {
      engine,
      connections: () => server.counters().active,
      crash: () => server.control({ _tag: "Kill", how: "crash" }),
      hangUp: () => server.control({ _tag: "Kill", how: "close" }),
      halfOpen: () => server.control({ _tag: "HalfOpen" }),
      babble: (message) => server.control({ _tag: "Babble", message }),
      refuse: () => server.control({ _tag: "Behave", as: "refuse" })
    }
  })
})

describe.concurrent("OpenAI", () => {
  for (const model of ["gpt-live-transcribe", "gpt-4o-transcribe"])
    for (const check of Conformance.checks)
      it.live(`${model} ${check.name}`, () => check.run(BusyMachine.patient(harness(model))))
})
