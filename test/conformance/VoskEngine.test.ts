/** Vosk servers of all three kinds, as an engine, do what every engine promises. */
import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as VoskEngine from "../../src/layers/VoskEngine.ts"
import * as VoskSimulator from "../../src/layers/VoskSimulator.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const kinds = ["Python", "Cpp", "Nextcloud"] as const

const harnessOf = (kind: (typeof kinds)[number]): Conformance.Harness => ({
  start: Effect.gen(function* () {
    const server = yield* VoskSimulator.make({ kind })
    const built = yield* Layer.build(VoskEngine.layer({ url: server.url }))
    return {
      engine: Context.get(built, SpeechEngine),
      connections: () => server.counters().active,
      crash: server.kill,
      hangUp: () => server.kill("close"),
      halfOpen: server.halfOpen,
      babble: server.babble,
      refuse: () => server.behave("refuse")
    }
  })
})

for (const kind of kinds)
  describe(`a Vosk server (${kind}), as an engine`, () => {
    for (const check of Conformance.checks)
      it.live(check.name, () =>
        check.run(BusyMachine.patient(harnessOf(kind))).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )
  })
