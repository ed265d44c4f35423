/** Scripted engines in roles, and a pool of them. */
import { Context, Effect, Layer, type Scope } from "effect"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import type { ConfiguredEngine, EngineRole } from "../../src/services/Engines.ts"
import { EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"

export interface Placed extends ScriptedEngine.Script {
  readonly role?: EngineRole
  /** Asked instead of a session, if the engine can be. */
  readonly probe?: Effect.Effect<void, EngineError>
}

export interface Place {
  readonly director: ScriptedEngine.ScriptedEngine["Service"]
  readonly configured: ConfiguredEngine
}

/** One engine of this name. */
export const place = (
  name: string,
  { probe, role = "Primary", ...script }: Placed = {}
): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.map(
    Layer.build(ScriptedEngine.layer({ ...script, capabilities: { name, ...script.capabilities } })),
    (context) => {
      const engine = Context.get(context, SpeechEngine)
      return {
        director: Context.get(context, ScriptedEngine.ScriptedEngine),
        configured: EngineHealth.make(probe === undefined ? engine : { ...engine, probe }, role)
      }
    }
  )

export const away = new EngineError({ reason: "Unreachable", detail: "nobody there" })
export const refused = new EngineError({ reason: "Refused", detail: "a wrong key" })
export const busy = new EngineError({ reason: "Busy", detail: "no free channels" })
export const closed = new EngineError({ reason: "Closed", detail: "hung up" })
