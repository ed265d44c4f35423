/** A conformance harness around an engine of a script that understands what it hears, half a second later; with faults, if wanted. */
import { Context, Effect, Layer } from "effect"
import type { Harness } from "../../src/conformance/index.ts"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as SimulatedRecogniser from "../../src/layers/SimulatedRecogniser.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"

/** What such an engine may do wrong. */
export interface Faults {
  readonly capabilities?: ScriptedEngine.Script["capabilities"]
  /** In place of saying the word. */
  readonly onWord?: (text: string, session: ScriptedEngine.ScriptedSession) => void
  /** In place of saying everything that was heard. */
  readonly flushing?: (session: ScriptedEngine.ScriptedSession) => Effect.Effect<void, EngineError>
  /** In place of serving every language. */
  readonly opening?: Effect.Effect<void, EngineError>
  /** In place of ending the sessions with an error. */
  readonly crash?: () => void
}

export const make = (faults: Faults = {}): Harness => ({
  start: Effect.gen(function* () {
    const ears = new Map<number, SimulatedRecogniser.SimulatedRecogniser>()
    const say = faults.onWord ?? ((text, session) => session.say(text))
    const earsOf = (session: ScriptedEngine.ScriptedSession) => {
      const found =
        ears.get(session.index) ??
        SimulatedRecogniser.make({
          delayMs: 500,
          format: ToneModem.normal,
          punctuation: true,
          onWord: ({ text }) => say(text, session),
          onFault: () => {}
        })
      ears.set(session.index, found)
      return found
    }
    let refuses = false
    const refusal = Effect.fail(new EngineError({ reason: "Refused", detail: "no" }))
    const layer = ScriptedEngine.layer({
      capabilities: faults.capabilities ?? {},
      opening: () => (refuses ? refusal : (faults.opening ?? Effect.void)),
      onFrame: ({ pcm }, session) => earsOf(session).push(pcm, 0),
      flushing:
        faults.flushing ??
        ((session) => Effect.sync(() => earsOf(session).push(new Float32Array(8 * FRAME_SAMPLES), 0)))
    })
    const built = yield* Layer.build(layer)
    const scripted = Context.get(built, ScriptedEngine.ScriptedEngine)
    return {
      engine: Context.get(built, SpeechEngine),
      connections: () => scripted.sessions().filter((session) => !session.closed()).length,
      crash:
        faults.crash ??
        (() => {
          for (const session of scripted.sessions()) session.fail("Closed")
        }),
      refuse: () => {
        refuses = true
      }
    }
  })
})
