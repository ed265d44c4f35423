/**
 * What the benchmark of speakers found, a line for each run: series of growing crowds.
 */
import { type Column, headOf, lineOf, tenths, whole } from "./Columns.ts"
import * as Saturation from "./Saturation.ts"
import type { SpeakersCost } from "./Speakers.ts"
import type { Crowd } from "./SpeakersOptions.ts"

const columns: ReadonlyArray<Column<SpeakersCost>> = [
  { head: "speakers", width: 8, of: ({ speakers }) => String(speakers) },
  { head: "% core", width: 8, of: ({ percentCore }) => tenths(percentCore) },
  { head: "each", width: 7, of: ({ percentCorePerSpeaker }) => percentCorePerSpeaker.toFixed(3) },
  { head: "×half", width: 7, of: (cost, before) => Saturation.twice(before, cost)?.toFixed(2) ?? "" },
  { head: "lost", width: 7, of: ({ lost }) => String(lost) },
  { head: "late", width: 6, of: ({ late }) => String(late) },
  { head: "loop p99", width: 10, of: ({ eventLoopP99Ms }) => tenths(eventLoopP99Ms) },
  { head: "engine p50", width: 12, of: ({ packetToEngineMs }) => tenths(packetToEngineMs.p50) },
  { head: "p99", width: 8, of: ({ packetToEngineMs }) => tenths(packetToEngineMs.p99) },
  { head: "RSS MB", width: 8, of: ({ rssMbPerSpeaker }) => rssMbPerSpeaker.toFixed(2) },
  { head: "heap", width: 6, of: ({ heapMbPerSpeaker }) => heapMbPerSpeaker.toFixed(2) },
  { head: "set-up ms", width: 11, of: ({ setUpMs }) => whole(setUpMs.p50) },
  { head: "CPU ms", width: 8, of: ({ setUpCpuMs }) => tenths(setUpCpuMs) },
  { head: "load", width: 6, of: ({ publishers }) => whole(publishers.percentCore) },
  { head: "engine", width: 8, of: ({ engine }) => whole(engine.percentCore) },
  { head: "others", width: 8, of: ({ othersPercentCore }) => whole(othersPercentCore) },
  { head: "machine", width: 9, of: ({ machinePercent }) => `${whole(machinePercent)} %` },
  { head: "", width: 2, of: (cost) => `  ${Saturation.note(cost)}` }
]

/** What all runs of a series have in common, and its columns. */
export const head = (crowd: Crowd, seconds: number): string => {
  const { levels, path, runners, speaking } = crowd
  const who =
    speaking === 1 ? "all speak" : `${(100 * speaking).toFixed(0)} % speak, levels ${levels ? "sent" : "not sent"}`
  const title = `${who}; ${path} path; ${runners} ${runners === 1 ? "runner" : "runners"}; ${seconds} s each`
  return `\n${title}\n${headOf(columns)}`
}

export const line = (cost: SpeakersCost, before: ReadonlyArray<SpeakersCost>): string => {
  const cells = lineOf(columns, cost, before)
  const { perRunner } = cost
  if (perRunner.length === 1) return cells
  const each = perRunner.map(({ percentCore, speakers }) => `${speakers}: ${tenths(percentCore)} %`)
  return `${cells}\n          runners ${each.join(", ")}`
}

/** What of a series was not run. */
export const skipped = (crowds: ReadonlyArray<Crowd>, why: string): string =>
  crowds.map(({ speakers }) => `${String(speakers).padStart(8)}  not run: ${why} with fewer`).join("\n")

/** The most that were heard without loss, and what that means for a runner with a core of its own: the latter is calculated. */
export const summary = (costs: ReadonlyArray<SpeakersCost>): string => {
  const clean = costs.findLast(
    ({ isDisturbed, lost, saturated }) => !isDisturbed && lost === 0 && saturated === undefined
  )
  if (clean === undefined) return "  none of these was heard without loss, undisturbed and with room left"
  const { percentCore, runners, speakers } = clean
  const point = { percentCore: percentCore / runners, speakers: speakers / runners }
  const [full, easy] = [Saturation.speakersOfACore(point, 95), Saturation.speakersOfACore(point, 70)]
  return `  heard without loss, with room left: ${speakers}; calculated from that, a runner with a core of its own: ${full} at 95 %, ${easy} at 70 %`
}
