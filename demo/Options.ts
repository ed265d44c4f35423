/**
 * What the demo is asked for on the command line.
 */
import { parseArgs } from "node:util"
import { Effect, Schema } from "effect"

/** The command line makes no sense; the message says how it should look. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { detail: Schema.String }) {
  override get message() {
    return `${this.detail}\nusage: npm run demo -- [--speakers 1…${most.speakers}] [--seconds 5…${most.seconds}] [--json]`
  }
}

export interface DemoOptions {
  readonly speakers: number
  /** How long people speak; starting and ending take about ten seconds more. */
  readonly seconds: number
  /** One line of JSON as the last of the standard output, everything else on the standard error. */
  readonly json: boolean
}

const most = { speakers: 50, seconds: 3600 }
const defaults: DemoOptions = { speakers: 3, seconds: 28, json: false }

/** Reads the command line. */
export const parse = (args: ReadonlyArray<string>): Effect.Effect<DemoOptions, UsageError> =>
  Effect.gen(function* () {
    const { values } = yield* Effect.try({
      try: () =>
        parseArgs({
          args: [...args],
          options: { speakers: { type: "string" }, seconds: { type: "string" }, json: { type: "boolean" } }
        }),
      catch: (cause) => new UsageError({ detail: cause instanceof Error ? cause.message : String(cause) })
    })
    return {
      speakers: yield* numberOf("--speakers", values.speakers ?? String(defaults.speakers), 1, most.speakers),
      seconds: yield* numberOf("--seconds", values.seconds ?? String(defaults.seconds), 5, most.seconds),
      json: values.json ?? defaults.json
    }
  })

const numberOf = (name: string, given: string, least: number, highest: number) => {
  const value = Number(given)
  return Number.isInteger(value) && value >= least && value <= highest
    ? Effect.succeed(value)
    : Effect.fail(new UsageError({ detail: `${name} must be a whole number from ${least} to ${highest}` }))
}
