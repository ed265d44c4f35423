/**
 * Command: `npm run chaos -- --deterministic`: scenarios on the test clock, from the command line.
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
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
      seed: { type: "string" },
      count: { type: "string" },
      json: { type: "boolean", default: false }
    }
  })
  const seed = numberOf(values.seed, 0)
  if (values.seed !== undefined && values.count === undefined) {
    const { isKept, lines } = yield* Suite.tellOne(seed)
    for (const line of lines) say(line)
    return isKept
  }
  const summary = yield* Suite.run(seed, numberOf(values.count, DEFAULT_COUNT))
  for (const { story } of summary.failures) say(`${story}\n`)
  for (const [fault, times] of Object.entries(summary.faults)) say(`${fault.padEnd(16)} ${String(times).padStart(5)}`)
  const { failures, scenarios, sessions, voices, words } = summary
  say(
    `${scenarios} scenarios, ${voices} voices, ${words} words, ${sessions} sessions: ` +
      (failures.length === 0 ? "every promise was kept" : `broken in ${failures.map((one) => one.seed).join(" ")}`)
  )
  if (values.json) say(JSON.stringify({ ...summary, failures: failures.map((one) => one.seed) }))
  return failures.length === 0
})
