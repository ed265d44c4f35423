/**
 * The outcome of every scenario as a table for people and one JSON line for programs.
 */
import { Schema } from "effect"
import { complaints, Verdict } from "./Judge.ts"

/** What a scenario found out. */
export const Outcome = Schema.Struct({
  verdicts: Schema.optionalKey(Schema.Array(Verdict)),
  /** What else is wrong. */
  faults: Schema.optionalKey(Schema.Array(Schema.String)),
  figures: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite))
})
export type Outcome = typeof Outcome.Type

export const Result = Schema.Struct({
  name: Schema.String,
  about: Schema.String,
  seconds: Schema.Finite,
  outcome: Outcome,
  skipped: Schema.optionalKey(Schema.String)
})
export type Result = typeof Result.Type

export const faultsOf = ({ outcome }: Result): ReadonlyArray<string> => [
  ...(outcome.verdicts ?? []).flatMap(complaints),
  ...(outcome.faults ?? [])
]

const sum = (results: ReadonlyArray<Result>, count: (verdict: Verdict) => number): number =>
  results.flatMap(({ outcome }) => outcome.verdicts ?? []).reduce((total, verdict) => total + count(verdict), 0)

const row = (result: Result): string => {
  const count = (of: (verdict: Verdict) => number) => String(sum([result], of)).padStart(5)
  return [
    stateOf(result).padEnd(4),
    result.name.padEnd(22),
    `${result.seconds.toFixed(0).padStart(4)} s`,
    count((one) => one.expected),
    count((one) => one.lost.length),
    count((one) => one.duplicated.length),
    count((one) => one.wrongSpeaker.length + one.invented.length),
    count((one) => one.rewritten + one.disordered.length),
    ` ${Object.entries(result.outcome.figures ?? {})
      .map(([name, value]) => `${name} ${Math.round(value * 100) / 100}`)
      .join(", ")}`
  ].join(" ")
}

const stateOf = (result: Result): string =>
  result.skipped !== undefined ? "skip" : faultsOf(result).length === 0 ? "ok" : "FAIL"

/** One line when a scenario is over, and what was wrong. */
export const printOne = (result: Result): void => {
  console.log(row(result))
  for (const fault of faultsOf(result)) console.log(`!!! ${fault}`)
}

/** Prints both; whether all is well. */
export const print = (results: ReadonlyArray<Result>): boolean => {
  const failed = results.filter((one) => faultsOf(one).length > 0)
  console.log(`\n     ${"scenario".padEnd(22)}   time words  lost twice wrong rewri  figures`)
  for (const result of results) console.log(row(result))
  for (const result of failed) for (const fault of faultsOf(result)) console.log(`!!! ${result.name}: ${fault}`)
  const ok = failed.length === 0 && results.some((one) => one.skipped === undefined)
  console.log(
    JSON.stringify({
      ok,
      spoken: sum(results, (one) => one.expected),
      lost: sum(results, (one) => one.lost.length),
      duplicated: sum(results, (one) => one.duplicated.length),
      wrongSpeaker: sum(results, (one) => one.wrongSpeaker.length),
      rewritten: sum(results, (one) => one.rewritten),
      scenarios: results.map((one) => ({
        name: one.name,
        ok: one.skipped === undefined ? faultsOf(one).length === 0 : null,
        seconds: Math.round(one.seconds),
        faults: faultsOf(one),
        figures: one.outcome.figures ?? {}
      }))
    })
  )
  return ok
}
