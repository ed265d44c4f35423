/**
 * What the benchmark on a real HPB found, a line for each run.
 */
import { type Column, headOf, lineOf, tenths, whole } from "../speakers/Columns.ts"
import * as Saturation from "../speakers/Saturation.ts"
import type { TalkCost } from "./TalkSpeakers.ts"

const columns: ReadonlyArray<Column<TalkCost>> = [
  { head: "speakers", width: 8, of: ({ speakers }) => String(speakers) },
  { head: "% core", width: 8, of: ({ percentCore }) => tenths(percentCore) },
  { head: "each", width: 7, of: ({ percentCorePerSpeaker }) => percentCorePerSpeaker.toFixed(3) },
  { head: "Janus", width: 7, of: ({ janus }) => tenths(janus.percentCore) },
  { head: "HPB", width: 6, of: ({ hpb }) => tenths(hpb.percentCore) },
  { head: "lost", width: 7, of: ({ lost }) => String(lost) },
  { head: "heard", width: 7, of: ({ heardPercent }) => `${whole(heardPercent)} %` },
  { head: "engine p50", width: 12, of: ({ packetToEngineMs }) => tenths(packetToEngineMs.p50) },
  { head: "p99", width: 8, of: ({ packetToEngineMs }) => tenths(packetToEngineMs.p99) },
  { head: "health p99", width: 12, of: ({ healthMs }) => tenths(healthMs.p99) },
  { head: "RSS MB", width: 8, of: ({ rssMbPerSpeaker }) => rssMbPerSpeaker.toFixed(2) },
  { head: "joined s", width: 10, of: ({ joinSeconds }) => tenths(joinSeconds) },
  { head: "load", width: 6, of: ({ publishers }) => whole(publishers.percentCore) },
  { head: "engine", width: 8, of: ({ engine }) => whole(engine.percentCore) },
  { head: "others", width: 8, of: ({ othersPercentCore }) => whole(othersPercentCore) },
  { head: "machine", width: 9, of: ({ machinePercent }) => `${whole(machinePercent)} %` },
  { head: "", width: 2, of: (cost) => `  ${Saturation.note(cost)}` }
]

export const head: string = headOf(columns)

export const line = (cost: TalkCost): string => lineOf(columns, cost)
