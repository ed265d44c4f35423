/**
 * Where a crowd is more than can be heard, and what would be beyond it.
 */
import type { RunnerCost } from "./Runners.ts"

export interface Load {
  readonly perRunner: ReadonlyArray<Pick<RunnerCost, "percentCore">>
  readonly sent: number
  readonly lost: number
  /** Of all processors, by the processes of the benchmark, and by whoever. */
  readonly ownPercent: number
  readonly machinePercent: number
  readonly publishers: { readonly lateP99Ms: number }
}

/** Of a runner's one thread: what it works besides (collections, the database) has threads of its own. */
const RUNNER_FULL = 97
/** From here on the processes of the benchmark take turns on the processors, and it is not the service that is measured. */
const MACHINE_FULL = 95
/** Percent of all processors. */
const OTHERS = 15
/** One in a thousand. */
const LOST = 0.001
/** A load that comes later than this comes in heaps. */
const LATE_MS = 100

/** What others used: who waits for them is late and loses packets, and that says nothing about the service. */
export const isDisturbed = ({ machinePercent, ownPercent }: Pick<Load, "machinePercent" | "ownPercent">): boolean =>
  machinePercent >= MACHINE_FULL && machinePercent - ownPercent >= OTHERS

/** Why more cannot be heard here: the first of what is full. Where others disturb, only what they cannot have done. */
export const of = (load: Load): string | undefined => {
  const { lost, ownPercent, perRunner, publishers, sent } = load
  if (perRunner.some(({ percentCore }) => percentCore >= RUNNER_FULL)) return "a runner is full"
  if (ownPercent >= MACHINE_FULL) return "the machine is full"
  if (isDisturbed(load)) return undefined
  if (lost > LOST * sent) return "packets were lost"
  if (publishers.lateP99Ms > LATE_MS) return "the publishers are late"
  return undefined
}

/** Behind a line. */
export const note = ({
  isDisturbed,
  saturated = ""
}: {
  readonly isDisturbed: boolean
  readonly saturated?: string
}) => (isDisturbed ? `disturbed by others ${saturated}`.trim() : saturated)

/** A row of a series of crowds. */
export interface Point {
  readonly speakers: number
  readonly percentCore: number
}

/**
 * How many times the CPU of half as many speakers: by the rows beside the half, as far as there are such. Less than 2 where what is there without
 * speakers counts.
 */
export const twice = (rows: ReadonlyArray<Point>, { percentCore, speakers }: Point): number | undefined => {
  const half = speakers / 2
  const above = rows.find((row) => row.speakers >= half)
  const below = rows.findLast((row) => row.speakers <= half)
  if (above === undefined || below === undefined) return undefined
  const share = above === below ? 0 : (half - below.speakers) / (above.speakers - below.speakers)
  return percentCore / (below.percentCore + share * (above.percentCore - below.percentCore))
}

/** How many speakers a core carries up to there, at what each of these costs: no measurement, a calculation. */
export const speakersOfACore = ({ percentCore, speakers }: Point, percent: number): number =>
  Math.floor((percent * speakers) / percentCore)
