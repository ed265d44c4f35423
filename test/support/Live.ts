/** A test in real time with a scope and metrics of its own. */
import { it } from "@effect/vitest"
import { Effect, Metric, type Scope } from "effect"

/** Some speak for seconds, and wait for much on a busy machine. */
const TIMEOUT_MS = 120_000

export const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => body.pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map())), TIMEOUT_MS)
