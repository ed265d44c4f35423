/**
 * EngineHealth: what sessions have shown of an engine.
 */
import type { ConfiguredEngine, EngineHealth } from "../services/Engines.ts"
import type { SpeechEngine } from "../services/SpeechEngine.ts"

/** The engine, untried. Any session that opens makes it healthy, any that fails makes it failing, whoever's voice it was. */
export const make = (engine: SpeechEngine["Service"]): ConfiguredEngine => {
  let newest: Omit<EngineHealth, "sessions"> = { state: "Untried" }
  let sessions = 0
  return {
    engine,
    health: () => ({ ...newest, sessions }),
    opened: () => {
      sessions += 1
      newest = { state: "Healthy" }
    },
    closed: () => {
      sessions -= 1
    },
    failed: ({ detail, reason }) => {
      newest = { state: "Failing", reason, detail }
    }
  }
}
