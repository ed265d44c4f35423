/**
 * What became of an overload, for people.
 */
import type { Extent, OverloadCost, OverloadPart } from "./Overload.ts"

const WIDTH = 30

type Row = readonly [what: string, of: (part: OverloadPart) => string]

const rows: ReadonlyArray<Row> = [
  ["speakers", ({ speakers }) => String(speakers)],
  ["seconds", ({ seconds }) => seconds.toFixed(1)],
  ["CPU of the service, of one core", ({ percentCore }) => `${percentCore.toFixed(1)} %`],
  ["event loop late, p99 / at most", (one) => `${one.eventLoopP99Ms.toFixed(1)} / ${one.eventLoopMaxMs.toFixed(0)} ms`],
  ["packet → engine, p50 / p99", ({ packetToEngineMs: { p50, p99 } }) => `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`],
  ["GET /health, p50 / p99 / at most", ({ healthMs }) => healthOf(healthMs)],
  ["  not answered, or too late", ({ healthFailed }) => String(healthFailed)],
  ["dropped, counted by the service", ({ drops }) => listed(drops)]
]

export const table = ({ alive, heardPercent, lostPercent, parts, recoveredMs, runners }: OverloadCost): string => {
  const lines = rows.map(([what, of]) => what.padEnd(36) + parts.map((part) => ` ${of(part)}`.padStart(WIDTH)).join(""))
  return [
    ...lines,
    `packets lost, of what a voice sent in the overload: ${extent(lostPercent)}`,
    `speech at the engine in the overload, of the first speakers: ${extent(heardPercent)}`,
    `well again after the overload: speech ${after(recoveredMs.speech)}, HTTP ${after(recoveredMs.http)}; ${alive} of ${runners} runners alive`
  ].join("\n")
}

const extent = ({ least, mean, most }: Extent) =>
  `${mean.toFixed(1)} % (voices: ${least.toFixed(1)} to ${most.toFixed(1)} %)`
const after = (ms: number | undefined) => (ms === undefined ? "not until the end" : `after ${(ms / 1000).toFixed(1)} s`)
const healthOf = ({ max, p50, p99 }: OverloadPart["healthMs"]) =>
  `${p50.toFixed(0)} / ${p99.toFixed(0)} / ${max.toFixed(0)} ms`
const listed = (drops: OverloadPart["drops"]) =>
  Object.entries(drops)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(", ") || "nothing"
