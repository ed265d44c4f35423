/**
 * What the benchmark of speakers found, for people: a column for each run.
 */
import type { Spread } from "../Quantile.ts"
import type { SpeakersCost } from "./Speakers.ts"

type Row = readonly [what: string, of: (cost: SpeakersCost) => string]

const rows: ReadonlyArray<Row> = [
  ["speakers", ({ speakers }) => String(speakers)],
  ["  who speak at a time", ({ speaking }) => percent(100 * speaking, 0)],
  ["  audio level (RFC 6464)", ({ levels }) => (levels ? "with" : "without")],
  ["  path of RTP, runners", ({ path, runners }) => `${path}, ${runners}`],
  ["CPU of the service, of one core", ({ percentCore }) => percent(percentCore)],
  ["  of that the kernel", ({ percentCoreSystem }) => percent(percentCoreSystem)],
  ["  per speaker", ({ percentCorePerSpeaker }) => percent(percentCorePerSpeaker, 3)],
  ["  each runner", ({ perRunner }) => perRunner.map(({ percentCore }) => percent(percentCore)).join(", ")],
  ["packets sent", ({ sent }) => String(sent)],
  ["  not heard, late ones among them", ({ late, lost }) => `${lost}, ${late}`],
  ["dropped by the service", ({ drops }) => listed(drops)],
  ["speech at the engine, of what was said", ({ heardPercent }) => percent(heardPercent)],
  ["packet → engine, p50 / p99", ({ packetToEngineMs }) => milliseconds(packetToEngineMs)],
  ["  frames, sessions nobody knows", ({ frames, strangers }) => `${frames}, ${strangers}`],
  ["event loop late, p99", ({ eventLoopP99Ms }) => `${eventLoopP99Ms.toFixed(1)} ms`],
  ["  at most", ({ eventLoopMaxMs }) => `${eventLoopMaxMs.toFixed(1)} ms`],
  ["memory (RSS), before anybody came", ({ baseRssMb }) => megabytes(baseRssMb, 0)],
  ["  per speaker", ({ rssMbPerSpeaker }) => megabytes(rssMbPerSpeaker)],
  ["    of that remembered speech", ({ ringMbPerSpeaker }) => megabytes(ringMbPerSpeaker)],
  ["  live per speaker: heap, outside of it", (cost) => live(cost)],
  ["  grown in the second half, per hour", ({ residence }) => growth(residence)],
  ["set-up of a peer, p50 / p99", ({ setUpMs }) => milliseconds(setUpMs)],
  ["  CPU of the service", ({ setUpCpuMs }) => `${setUpCpuMs.toFixed(1)} ms`],
  ["  all of them", ({ joinSeconds }) => `${joinSeconds.toFixed(1)} s`],
  ["engine sessions", ({ engineSessions }) => String(engineSessions)],
  [
    "CPU of engine, of publishers",
    ({ engine, publishers }) => `${percent(engine.percentCore)}, ${percent(publishers.percentCore)}`
  ],
  ["publishers' own lateness, p99", ({ publishers }) => `${publishers.lateP99Ms.toFixed(1)} ms`],
  ["machine, all processors", ({ machinePercent }) => percent(machinePercent, 0)],
  ["  others on it, of one core", ({ othersPercentCore }) => percent(othersPercentCore, 0)],
  ["saturated", ({ saturated }) => saturated ?? "no"],
  ["disturbed by others", ({ isDisturbed }) => (isDisturbed ? "yes" : "no")],
  [
    "calibration: decoding 20 ms of speech / with rests",
    ({ decodeMicroseconds, restedDecodeMicroseconds }) =>
      `${decodeMicroseconds.toFixed(1)} / ${restedDecodeMicroseconds.toFixed(1)} µs`
  ]
]

const WIDTH = 24

export const table = (costs: ReadonlyArray<SpeakersCost>): string => {
  const [first] = costs
  const head = first === undefined ? "" : `${first.seconds} s each, ${first.srtp}, the others ${first.silence}\n`
  return (
    head + rows.map(([what, of]) => what.padEnd(42) + costs.map((cost) => of(cost).padStart(WIDTH)).join("")).join("\n")
  )
}

const percent = (value: number, digits = 1) => `${value.toFixed(digits)} %`
const megabytes = (value: number, digits = 2) => `${value.toFixed(digits)} MB`
const milliseconds = ({ p50, p99 }: Spread) => `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`
const live = ({ externalMbPerSpeaker, heapMbPerSpeaker }: SpeakersCost) =>
  `${heapMbPerSpeaker.toFixed(2)} + ${externalMbPerSpeaker.toFixed(2)} MB`
const growth = ({ mbPerHour }: SpeakersCost["residence"]) => (mbPerHour === undefined ? "–" : megabytes(mbPerHour, 1))
const listed = (drops: SpeakersCost["drops"]) =>
  Object.entries(drops)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(", ") || "nothing"
