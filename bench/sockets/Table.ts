/**
 * What the benchmark of streaming sockets found, for people.
 */
import type { Spread } from "../Quantile.ts"
import type { SocketsCost } from "./Sockets.ts"

export const table = (cost: SocketsCost): string => {
  const { clients, engine, words } = cost
  const speech = cost.speaking === 1 ? "all speak all the time" : `each speaks ${100 * cost.speaking} % of the time`
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["sessions", `${cost.sessions} (${cost.door}, ${cost.format}), ${speech}, ${cost.seconds} s`],
    ["CPU of the service", `${percent(cost.percentCore)} of one core (kernel: ${percent(cost.percentCoreSystem)})`],
    ["  per session", percent(cost.percentCorePerSession, 3)],
    ["memory of the service", `${cost.rssMb.toFixed(0)} MB`],
    ["  per session", `${cost.rssMbPerSession.toFixed(2)} MB`],
    ["GET /health meanwhile", milliseconds(cost.healthMs)],
    ["word sent → word seen, less the engine", milliseconds(cost.wordMs)],
    ["words", `${words.spoken} spoken, ${words.delivered} delivered, ${words.lost} lost, ${words.duplicated} twice`],
    ["  not of this client", String(words.foreign)],
    ["clients in trouble", cost.troubled === 0 ? "0" : `${cost.troubled}, the first: ${cost.trouble}`],
    ["CPU of engine, of clients", `${percent(engine.percentCore)}, ${percent(clients.percentCore)}`],
    ["machine, all processors", percent(cost.machinePercent, 0)],
    ["clients' own lateness, p99", `${clients.lateP99Ms.toFixed(1)} ms`],
    [
      "calibration: decoding 20 ms of speech / with rests",
      `${cost.decodeMicroseconds.toFixed(1)} / ${cost.restedDecodeMicroseconds.toFixed(1)} µs`
    ]
  ]
  return rows.map(([what, value]) => `${what.padEnd(42)}${value}`).join("\n")
}

const percent = (value: number, digits = 1) => `${value.toFixed(digits)} %`
const milliseconds = ({ p50, p99 }: Spread) => `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`
