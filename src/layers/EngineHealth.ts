/**
 * EngineHealth: what sessions have shown of an engine.
 */
import type { ConfiguredEngine, EngineHealth, EngineRole } from "../services/Engines.ts"
import type { SpeechEngine } from "../services/SpeechEngine.ts"

/** The engine in its role, untried. Any session that opens makes it healthy, any that fails makes it failing, whoever's voice it was. */
export const make = (engine: SpeechEngine["Service"], role: EngineRole = "Primary"): ConfiguredEngine => {
  let newest: Omit<EngineHealth, "sessions"> = { state: "Untried" }
  let sessions = 0
  return {
    role,
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
