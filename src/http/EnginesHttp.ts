/**
 * Which engines there are, in the order in which they are tried, and how they do.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type ConfiguredEngine, type EngineHealth, Engines } from "../services/Engines.ts"
import { ServiceApi } from "./Api.ts"

/** Handlers of the engines group. */
export const layer = HttpApiBuilder.group(
  ServiceApi,
  "engines",
  Effect.fnUntraced(function* (handlers) {
    const engines = yield* Engines
    return handlers.handle("engines", () => Effect.sync(() => engines.map(described)))
  })
)

const states = { Untried: "untried", Healthy: "healthy", Failing: "failing" } as const satisfies Record<
  EngineHealth["state"],
  string
>

const described = ({ engine: { capabilities }, health }: ConfiguredEngine) => {
  const { languages, local, model, name, ...others } = capabilities
  const { detail, reason, sessions, state } = health()
  return {
    name,
    ...(model === undefined ? {} : { model }),
    state: states[state],
    sessions,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    local,
    capabilities: others,
    languages: Object.keys(languages)
  }
}
