/**
 * EngineHealth: what sessions have shown of an engine.
 */
import type { CircuitState, ConfiguredEngine, EngineHealth, EngineRole } from "../services/Engines.ts"
import type { SpeechEngine } from "../services/SpeechEngine.ts"

/** The engine in its role, untried. What one voice or a probe learns holds for all. */
export const make = (engine: SpeechEngine["Service"], role: EngineRole = "Primary"): ConfiguredEngine => {
  let newest: Omit<EngineHealth, "circuit" | "sessions"> = { state: "Untried" }
  let sessions = 0
  let circuit: CircuitState = "Closed"
  return {
    role,
    engine,
    health: () => ({ ...newest, circuit, sessions }),
    opened: () => {
      sessions += 1
      newest = { state: "Healthy" }
    },
    closed: () => {
      sessions -= 1
    },
    failed: ({ detail, reason }) => {
      newest = { state: "Failing", reason, detail }
    },
    turned: (to) => {
      circuit = to
      if (to === "Closed") newest = { state: "Healthy" }
    }
  }
}
