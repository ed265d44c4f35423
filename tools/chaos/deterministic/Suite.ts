/**
 * Suite: many scenarios one after the other, each from its seed, and what they covered.
 */
import { Effect } from "effect"
import type { EngineFault } from "./EngineFaults.ts"
import { inspect } from "./Inspection.ts"
import { play } from "./Play.ts"
import * as Scenario from "./Scenario.ts"
import { complaintOf, tell } from "./Story.ts"

export interface Failure {
  readonly seed: number
  /** What is wrong, the command that plays it again, and the story; of the first few. */
  readonly story: string
}

export interface Summary {
  readonly scenarios: number
  readonly voices: number
  readonly words: number
  readonly sessions: number
  /** How often each happened. */
  readonly faults: Readonly<Record<EngineFault, number>>
  readonly failures: ReadonlyArray<Failure>
}

/** Who has read so many will look for the cause. */
const STORIES = 3

/** Plays `count` scenarios, the first with the seed `from`. */
export const run = Effect.fnUntraced(function* (from: number, count: number): Effect.fn.Return<Summary> {
  const faults = noFaults()
  const failures: Array<Failure> = []
  let voices = 0
  let words = 0
  let sessions = 0
  for (let seed = from; seed < from + count; seed++) {
    const outcome = yield* play(Scenario.make(seed))
    const wrong = inspect(outcome)
    if (wrong.length > 0)
      failures.push({ seed, story: failures.length < STORIES ? complaintOf(outcome, wrong) : wrong.join("\n") })
    for (const { faults: planned } of outcome.scenario.engines) for (const { kind } of planned) faults[kind] += 1
    voices += outcome.voices.length
    words += outcome.voices
      .flatMap(({ plan }) => plan.stretches)
      .reduce((sum, stretch) => sum + stretch.words.length, 0)
    sessions += outcome.sessions.length
  }
  return { scenarios: count, voices, words, sessions, faults, failures }
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

const noFaults = (): Record<EngineFault, number> => ({
  refuse: 0,
  busy: 0,
  unreachable: 0,
  hang: 0,
  acceptThenClose: 0,
  cut: 0,
  closeEarly: 0,
  limit: 0,
  garbage: 0,
  halfOpen: 0,
  throws: 0,
  stall: 0,
  slow: 0,
  flushHangs: 0,
  repeats: 0
})
