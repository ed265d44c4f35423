/**
 * What a scenario is, and how one is run: on a fresh stack, with a limit of time, its failure a result like any other.
 */
import { Cause, Effect, Exit, type Scope } from "effect"
import type { ProofError } from "./ProofError.ts"
import type { Generation } from "./Provision.ts"
import type { Outcome, Result } from "./Report.ts"
import type { Corner } from "./Scene.ts"
import type { Bench } from "./Stack.ts"

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly generation: Generation
  /** `always`; `all`: waits long, under --all; `measure`: figures, under --measure and --all. */
  readonly when: "always" | "all" | "measure"
  readonly run: (corner: Corner) => Effect.Effect<Outcome, ProofError, Scope.Scope>
  readonly seconds?: number
}

/** Two minutes are more than any scenario needs that does not say so. */
const LIMIT_SECONDS = 120

export const perform = (bench: Bench, scenario: Scenario): Effect.Effect<Result> => {
  const { about, generation, name, run, seconds = LIMIT_SECONDS } = scenario
  if (!bench.hpbs.some((hpb) => hpb.generation === generation)) {
    return Effect.succeed({ name, about, seconds: 0, outcome: {}, skipped: `no HPB ${generation}` })
  }
  const started = performance.now()
  console.log(`\n── ${name}: ${about}`)
  return run({ bench, name, generation }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: seconds * 1000,
      orElse: () => Effect.succeed<Outcome>({ faults: [`not finished within ${seconds} s`] })
    }),
    Effect.exit,
    Effect.map((exit) => ({
      name,
      about,
      seconds: (performance.now() - started) / 1000,
      outcome: Exit.isSuccess(exit)
        ? { ...exit.value, figures: known(exit.value.figures) }
        : { faults: [Cause.pretty(exit.cause).split("\n    at ")[0] ?? "failed"] }
    }))
  )
}

/** What could not be measured is left out. */
const known = (figures: Outcome["figures"] = {}) =>
  Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)))
