/**
 * EngineComplaints: what the log says about engines. Each trouble once until the engine gives a session again: hundreds of voices have it at
 * the same time.
 */
import { Effect } from "effect"
import type { ConfiguredEngine } from "../services/Engines.ts"
import type { EngineError } from "../services/SpeechEngine.ts"

interface Subject {
  readonly configured: ConfiguredEngine
}

export interface EngineComplaints {
  readonly about: (subject: Subject, error: EngineError) => Effect.Effect<void>
  /** A session is open: what was said about this engine no longer holds. */
  readonly settle: (subject: Subject) => Effect.Effect<void>
}

/** Nothing was said yet; of so many engines a voice has to choose from. */
export const make = (engines: number): EngineComplaints => {
  const known = new Map<string, Set<string>>()
  const consequence = engines > 1 ? "others are tried" : "there are no captions"
  return {
    about: ({ configured }, error) =>
      Effect.suspend(() => {
        const engine = configured.engine.capabilities.name
        const said = known.get(engine) ?? new Set()
        known.set(engine, said)
        if (said.has(error.message)) return Effect.logDebug("engine session failed", { engine, reason: error.reason })
        said.add(error.message)
        return error.retryable
          ? Effect.logWarning(`Speech engine ${engine}: ${error.message}. Trying again while somebody speaks.`)
          : Effect.logError(
              `Speech engine ${engine} refuses us: ${error.detail}. Until its configuration is corrected ${consequence}; trying again every minute.`
            )
      }),
    settle: ({ configured }) =>
      Effect.suspend(() => {
        const engine = configured.engine.capabilities.name
        return known.delete(engine) ? Effect.logInfo(`Speech engine ${engine}: a session is open`) : Effect.void
      })
  }
}
