/**
 * Command: `npm run chaos -- --deterministic`: scenarios on the test clock, from the command line; with `--kill` those whose process is killed.
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import * as KillSuite from "./kill/Suite.ts"
import * as Suite from "./Suite.ts"

const DEFAULT_COUNT = 1_200

const numberOf = (text: string | undefined, otherwise: number): number => {
  const number = Number(text ?? otherwise)
  if (!Number.isSafeInteger(number) || number < 0) throw new TypeError(`"${text}" is no number of scenarios`)
  return number
}

/**
 * `--seed N` alone tells the story of one scenario; with `--count M`, or without a seed, that many are played from it on and counted. `--json`
 * ends with one line of the same figures. True when every promise was kept.
 */
export const run = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  say: (line: string) => void
): Effect.fn.Return<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      deterministic: { type: "boolean" },
      kill: { type: "boolean", default: false },
      seed: { type: "string" },
      count: { type: "string" },
      json: { type: "boolean", default: false }
    }
  })
  const seed = numberOf(values.seed, 0)
  if (values.seed !== undefined && values.count === undefined) {
    const { isKept, lines } = yield* values.kill ? KillSuite.tellOne(seed) : Suite.tellOne(seed)
    for (const line of lines) say(line)
    return isKept
  }
  const count = numberOf(values.count, DEFAULT_COUNT)
  const summary = yield* values.kill ? killed(seed, count) : broken(seed, count)
  const { counted, failures, figures, scenarios } = summary
  for (const { story } of failures) say(`${story}\n`)
  for (const [what, times] of Object.entries(counted)) say(`${what.padEnd(16)} ${String(times).padStart(5)}`)
  say(
    `${scenarios} scenarios, ${Object.entries(figures)
      .map(([what, times]) => `${times} ${what}`)
      .join(", ")}: ` +
      (failures.length === 0 ? "every promise was kept" : `broken in ${failures.map((one) => one.seed).join(" ")}`)
  )
  if (values.json) say(JSON.stringify({ ...summary.summary, failures: failures.map((one) => one.seed) }))
  return failures.length === 0
})

const broken = (seed: number, count: number) =>
  Effect.map(Suite.run(seed, count), (summary) => {
    const { failures, faults, scenarios, sessions, voices, words } = summary
    return { summary, failures, scenarios, counted: faults, figures: { voices, words, sessions } }
  })

const killed = (seed: number, count: number) =>
  Effect.map(KillSuite.run(seed, count), (summary) => {
    const { excused, failures, kills, moments, scenarios, sessions, words } = summary
    return { summary, failures, scenarios, counted: moments, figures: { kills, words, excused, sessions } }
  })
