import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const harness: Conformance.Harness = {
  start: Effect.gen(function* () {
    const server = yield* KyutaiSimulator.make()
    const client = SocketModalClient.layer({ url: { _tag: "Direct", url: server.url } })
    const built = yield* Layer.build(ModalEngine.layer.pipe(Layer.provide(client)))
    return {
      engine: Context.get(built, SpeechEngine),
      connections: () => server.counters().active,
      crash: () => server.control({ _tag: "Kill", how: "crash" }),
      hangUp: () => server.control({ _tag: "Kill", how: "close" }),
      halfOpen: () => server.control({ _tag: "HalfOpen" }),
      babble: server.babble,
      refuse: () => server.control({ _tag: "Behave", as: "refuse" })
    }
  })
}

describe("Kyutai on Modal, as an engine", () => {
  for (const check of Conformance.checks) it.live(check.name, () => check.run(BusyMachine.patient(harness)))
})
