/**
 * Table: the figures of a run for people, and the same for programs.
 */
import { kindOf, kinds } from "./Faults.ts"
import type { Reckoned, Reckoning } from "./Reckoning.ts"
import type { Trend } from "./Watch.ts"

/** What must hold: the rest of the figures is for people to judge. */
export const broken = ({ faults, sums }: Reckoning): ReadonlyArray<string> => {
  const count = (many: number, what: string) => (many === 0 ? [] : [`${many} ${what}`])
  return [
    ...count(sums.lost, "lost that somebody could hear"),
    ...count(sums.duplicated, "read twice"),
    ...count(sums.disordered, "out of order"),
    ...count(sums.wrongSpeaker, "under the wrong name"),
    ...count(sums.invented, "never said"),
    ...count(sums.spoken === 0 ? 1 : 0, "conversation without a word"),
    ...faults.flatMap(({ happened: { fault, trouble } }) =>
      trouble === undefined ? [] : [`fault #${fault.number} could not be done: ${trouble}`]
    )
  ]
}

const seconds = (ms: number | undefined): string => (ms === undefined ? "–" : (ms / 1000).toFixed(2))

const byKind = (faults: ReadonlyArray<Reckoned>) =>
  kinds.flatMap((kind) => {
    const own = faults.filter(({ happened }) => happened.fault.kind === kind.name)
    if (own.length === 0) return []
    const sum = (of: (one: Reckoned) => number) => own.reduce((total, one) => total + of(one), 0)
    const recoveries = own.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b)
    const names = [...new Set(own.flatMap(({ figures }) => Object.keys(figures)))]
    return [
      {
        kind: kind.name,
        times: own.length,
        lost: sum(({ lost }) => lost.length),
        duplicated: sum(({ duplicated }) => duplicated.length),
        unheard: sum(({ unheard }) => unheard),
        medianMs: recoveries[Math.floor(recoveries.length / 2)],
        worstMs: recoveries.at(-1),
        targetMs: kindOf(kind.name).targetMs,
        from: kind.from,
        // the worst of each
        figures: Object.fromEntries(
          names.map((name) => [name, Math.max(...own.map(({ figures }) => figures[name] ?? Number.NEGATIVE_INFINITY))])
        )
      }
    ]
  })

export interface Figures {
  readonly seed: number
  readonly minutes: number
  readonly stage: string
  readonly reckoning: Reckoning
  readonly trends: { readonly minutes: number; readonly all: ReadonlyArray<Trend> }
  readonly schedule: ReadonlyArray<string>
  readonly again: string
}

const cell = (value: string | number, width: number) => String(value).padStart(width)

const figureOf = ([name, value]: readonly [string, number]): string =>
  ["had to ask", "exit code"].includes(name) ? `${name} ${value}` : `${name} ${(value / 1000).toFixed(2)} s`

export const print = ({ again, minutes, reckoning, seed, stage, trends }: Figures): string => {
  const { sums } = reckoning
  const lines = [
    "",
    `seed ${seed}, ${minutes.toFixed(1)} minutes, ${stage}`,
    "",
    "words   spoken delivered  lost twice disordered wrong name  unheard spoilt  longest gap",
    `      ${cell(sums.spoken, 8)}${cell(sums.delivered, 10)}${cell(sums.lost, 6)}${cell(sums.duplicated, 6)}${cell(sums.disordered, 11)}${cell(sums.wrongSpeaker + sums.invented, 11)}${cell(sums.unheard, 9)}${cell(sums.spoilt, 7)}${cell(seconds(sums.longestGapMs), 11)} s`,
    "",
    `${"fault".padEnd(18)}times  lost twice unheard   captions again: median   worst  target (s)`,
    ...byKind(reckoning.faults).map(
      (one) =>
        `${one.kind.padEnd(18)}${cell(one.times, 5)}${cell(one.lost, 6)}${cell(one.duplicated, 6)}${cell(one.unheard, 8)}${cell(seconds(one.medianMs), 25)}${cell(seconds(one.worstMs), 8)}${cell(one.targetMs === undefined ? "" : `≤ ${one.targetMs / 1000}`, 8)}  from its ${one.from}${Object.entries(
          one.figures
        )
          .map((figure) => `, ${figureOf(figure)}`)
          .join("")}`
    )
  ]
  if (trends.all.length > 0) {
    lines.push(
      "",
      `${`service, ${trends.minutes.toFixed(1)} min in one process`.padEnd(34)}start  middle     end   per hour`,
      ...trends.all.map(
        ({ end, middle, slope, start, what }) =>
          `${what.padEnd(32)}${cell(start.toFixed(1), 7)}${cell(middle.toFixed(1), 8)}${cell(end.toFixed(1), 8)}${cell(slope.toFixed(1), 11)}`
      )
    )
  }
  for (const { duplicated, happened, lost } of reckoning.faults) {
    const few = (what: string, words: ReadonlyArray<{ readonly word: string; readonly voice: string }>) =>
      words.length === 0
        ? []
        : [
            `!!! #${happened.fault.number} ${happened.fault.kind}: ${what} ${words
              .map(({ voice, word }) => `${voice}:${word}`)
              .slice(0, 10)
              .join(" ")}`
          ]
    lines.push(...few("lost", lost), ...few("twice", duplicated))
  }
  const faults = broken(reckoning)
  lines.push(
    "",
    ...(faults.length === 0 ? ["Every word that could be heard was read once."] : faults.map((one) => `!!! ${one}`))
  )
  if (faults.length > 0) lines.push(`!!! again: ${again}`)
  return lines.join("\n")
}

/** One line. */
export const json = (figures: Figures): string => {
  const { again, minutes, reckoning, schedule, seed, stage, trends } = figures
  const { longestGapMs, ...sums } = reckoning.sums
  return JSON.stringify({
    ok: broken(reckoning).length === 0,
    seed,
    minutes,
    stage,
    ...sums,
    longestGapMs: Math.round(longestGapMs),
    unprovoked: reckoning.unprovoked,
    faults: byKind(reckoning.faults),
    service: trends,
    schedule,
    broken: broken(reckoning),
    again
  })
}
