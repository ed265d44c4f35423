/**
 * Story: a scenario and what came of it, for who has to find out why.
 */
import { type Transcribed, textOf } from "../../../src/domain/Segment.ts"
import type { Outcome } from "./Play.ts"

const seconds = (ms: number): string => (ms / 1000).toFixed(2).padStart(7)

/** The command that plays it again. */
export const replayOf = (seed: number): string => `npm run chaos -- --deterministic --seed ${seed}`

/** What is wrong, with the command, and the story. */
export const complaintOf = (outcome: Outcome, wrong: ReadonlyArray<string>): string =>
  [`${wrong.length} promise(s) broken:`, ...wrong, `again: ${replayOf(outcome.scenario.seed)}`, ...tell(outcome)].join(
    "\n"
  )

/** By time: who says which words, what happens to engines, what is read. */
export const tell = ({ scenario, sessions, story, voices }: Outcome): ReadonlyArray<string> => {
  const spoken = scenario.voices.flatMap(({ id, startsMs, stretches }) =>
    stretches.map(({ from, kind, to, words }) => ({
      atMs: startsMs + from / 24,
      what: `${id} ${kind === "noise" ? "noise" : `says "${words.map(({ word }) => word).join(" ")}"`} (audio ${(from / 24_000).toFixed(2)}–${(to / 24_000).toFixed(2)} s)`
    }))
  )
  const read = voices.flatMap(({ endedMs, plan, read }) => [
    ...read.flatMap(({ atMs, what }, index) => {
      const text = said(plan.id, what, read[index + 1]?.what)
      return text === undefined ? [] : [{ atMs, what: `  ${text}` }]
    }),
    { atMs: plan.leavesMs, what: `${plan.id} leaves` },
    ...(endedMs === undefined ? [] : [{ atMs: endedMs, what: `  ${plan.id} has ended` }])
  ])
  const lines = [...story, ...spoken, ...read].toSorted((one, other) => one.atMs - other.atMs)
  return [
    ...scenario.engines.map(
      ({ coldMs, faults: _faults, languages: _languages, name, ...plan }) =>
        `${name}: ${Object.entries({ ...plan, ...(coldMs === undefined ? {} : { coldMs }) })
          .map(([key, value]) => `${key}=${value}`)
          .join(" ")}`
    ),
    ...scenario.voices.map(
      ({ hitches, id, privacy, ringFrames, source, unspaced }) =>
        `${id}: ${source} ${privacy} ring=${ringFrames}${unspaced ? " unspaced" : ""}${hitches.map(({ atMs, forMs }) => ` held up at ${atMs} for ${forMs} ms`).join("")}`
    ),
    ...lines.map(({ atMs, what }) => `${seconds(atMs)} ${what}`),
    `${sessions.length} sessions`
  ]
}

const audio = (samples: number): string => `${(samples / 24_000).toFixed(2)} s`

/** One thing that was read; nothing where the `next` says it anew. */
const said = (voice: string, what: Transcribed, next: Transcribed | undefined): string | undefined => {
  if (what._tag === "Settled") return `${voice} settled up to ${audio(what.position)}`
  if (what._tag === "Interrupted") return `${voice} interrupted at ${audio(what.position)} for ${audio(what.samples)}`
  if (what._tag === "Marked") return undefined
  const { committed, final, id, open } = what.segment
  if (final !== undefined) return `${id} "${textOf(what.segment)}" ${final}`
  return next?._tag === "Segment" && next.segment.id === id ? undefined : `${id} "${committed}|${open}"`
}
