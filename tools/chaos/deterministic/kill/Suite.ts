/**
 * Suite: many calls whose process is killed, one after the other, each from its seed, and what they covered.
 */
import { Effect } from "effect"
import { msOfSamples } from "../../../../src/domain/Audio.ts"
import { inspect, saidBy } from "./Inspection.ts"
import { type Outcome, play } from "./Play.ts"
import * as Scenario from "./Scenario.ts"

export interface Failure {
  readonly seed: number
  /** What is wrong, the command that plays it again, and the story; of the first few. */
  readonly story: string
}

export interface Summary {
  readonly scenarios: number
  readonly kills: number
  readonly words: number
  /** Words that no process had to have heard. */
  readonly excused: number
  readonly sessions: number
  readonly moments: Readonly<Record<Scenario.Moment, number>>
  readonly failures: ReadonlyArray<Failure>
}

/** Who has read so many will look for the cause. */
const STORIES = 3

/** Plays `count` scenarios, the first with the seed `from`. */
export const run = Effect.fnUntraced(function* (from: number, count: number): Effect.fn.Return<Summary> {
  const moments = { word: 0, pause: 0, seam: 0, "catch-up": 0, cover: 0, final: 0, twice: 0 }
  const failures: Array<Failure> = []
  let kills = 0
  let words = 0
  let excused = 0
  let sessions = 0
  for (let seed = from; seed < from + count; seed++) {
    const outcome = yield* play(Scenario.make(seed))
    const wrong = inspect(outcome)
    if (wrong.length > 0)
      failures.push({ seed, story: failures.length < STORIES ? complaintOf(outcome, wrong) : wrong.join("\n") })
    const said = outcome.scenario.speakers.flatMap((speaker) => saidBy(outcome, speaker))
    moments[outcome.scenario.moment] += 1
    kills += outcome.lives.filter(({ diedMs }) => diedMs !== undefined).length
    words += said.length
    excused += said.filter(({ optional }) => optional === true).length
    sessions += outcome.sessions
  }
  return { scenarios: count, kills, words, excused, sessions, moments, failures }
})

/** Plays one and tells what happened, whether something was wrong or not. */
export const tellOne = Effect.fnUntraced(function* (
  seed: number
): Effect.fn.Return<{ readonly isKept: boolean; readonly lines: ReadonlyArray<string> }> {
  const outcome = yield* play(Scenario.make(seed))
  const wrong = inspect(outcome)
  return wrong.length > 0
    ? { isKept: false, lines: [complaintOf(outcome, wrong)] }
    : { isKept: true, lines: [...tell(outcome), "every promise was kept"] }
})

/** The command that plays it again. */
const replayOf = (seed: number): string => `npm run chaos -- --deterministic --kill --seed ${seed}`

const complaintOf = (outcome: Outcome, wrong: ReadonlyArray<string>): string =>
  [`${wrong.length} promise(s) broken:`, ...wrong, `again: ${replayOf(outcome.scenario.seed)}`, ...tell(outcome)].join(
    "\n"
  )

/** By time: who says which words, what happens, what is sent; what is read at last. */
const tell = (outcome: Outcome): ReadonlyArray<string> => {
  const { pages, scenario, sessions, story } = outcome
  const spoken = scenario.speakers.flatMap(({ name, stretches }) =>
    stretches.map(({ from, to, words }) => ({
      atMs: msOfSamples(from),
      what: `${name} says "${words.map(({ to, word }) => `${word}@${(to / 24_000).toFixed(2)}`).join(" ")}" until ${(to / 24_000).toFixed(2)} s`
    }))
  )
  const lines = [...spoken, ...story].toSorted((one, other) => one.atMs - other.atMs)
  return [
    `killed: ${scenario.moment}; readers ${scenario.readers.join(", ")}; to all at once: ${scenario.canReachCall}`,
    ...scenario.engines.map(({ faults: _faults, languages: _languages, ...plan }) => JSON.stringify(plan)),
    ...lines.map(({ atMs, what }) => `${(atMs / 1000).toFixed(3).padStart(8)} ${what}`),
    ...scenario.speakers.map(
      (speaker) =>
        `${speaker.name} said ${saidBy(outcome, speaker)
          .map(({ optional, word }) => (optional === true ? `(${word})` : word))
          .join(" ")}`
    ),
    ...pages.map(({ page, reader }) => `${reader} reads ${page.text()}`),
    `${sessions} sessions`
  ]
}
