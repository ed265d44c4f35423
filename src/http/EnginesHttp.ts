/**
 * Which engines there are, in the order in which they are tried, and how they do.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type ConfiguredEngine, type EngineHealth, type EngineRole, Engines } from "../services/Engines.ts"
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

const roles = { Primary: "primary", Cover: "cover", LastResort: "last" } as const satisfies Record<EngineRole, string>

const circuits = { Closed: "closed", Open: "open", HalfOpen: "half-open" } as const satisfies Record<
  EngineHealth["circuit"],
  string
>

const described = ({ engine: { capabilities }, health, role }: ConfiguredEngine) => {
  const { languages, local, model, name, ...others } = capabilities
  const { circuit, detail, reason, sessions, state } = health()
  return {
    name,
    ...(model === undefined ? {} : { model }),
    role: roles[role],
    state: states[state],
    circuit: circuits[circuit],
    sessions,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    local,
    capabilities: others,
    languages: Object.keys(languages)
  }
}
