import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as SimulatedRecogniser from "../../src/layers/SimulatedRecogniser.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"

/** An engine of a script that understands what it hears, half a second later. */
const harness: Conformance.Harness = {
  start: Effect.gen(function* () {
    const ears = new Map<number, SimulatedRecogniser.SimulatedRecogniser>()
    const earsOf = (session: ScriptedEngine.ScriptedSession) => {
      const found =
        ears.get(session.index) ??
        SimulatedRecogniser.make({
          delayMs: 500,
          format: ToneModem.normal,
          punctuation: true,
          onWord: ({ text }) => session.say(text),
          onFault: () => {}
        })
      ears.set(session.index, found)
      return found
    }
    let refuses = false
    const layer = ScriptedEngine.layer({
      opening: () => (refuses ? Effect.fail(new EngineError({ reason: "Refused", detail: "no" })) : Effect.void),
      onFrame: ({ pcm }, session) => earsOf(session).push(pcm, 0),
      flushing: (session) => Effect.sync(() => earsOf(session).push(new Float32Array(8 * FRAME_SAMPLES), 0))
    })
    const built = yield* Layer.build(layer)
    const scripted = Context.get(built, ScriptedEngine.ScriptedEngine)
    return {
      engine: Context.get(built, SpeechEngine),
      connections: () => scripted.sessions().filter((session) => !session.closed()).length,
      crash: () => {
        for (const session of scripted.sessions()) session.fail("Closed")
      },
      refuse: () => {
        refuses = true
      }
    }
  })
}

describe("an engine of a script", () => {
  for (const check of Conformance.checks) it.live(check.name, () => check.run(harness))
})
