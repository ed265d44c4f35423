/**
 * Many who join at once while others speak: how late, and how whole, the speech of those who were there comes to the engine meanwhile.
 */
import { Effect, type Scope } from "effect"
import * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Arrivals from "./Arrivals.ts"
import * as Material from "./Material.ts"
import * as Part from "./Part.ts"
import * as Runners from "./Runners.ts"
import type { Crowd, SpeakersOptions } from "./SpeakersOptions.ts"
import * as Stage from "./Stage.ts"

export interface StormCost extends Crowd {
  /** How many join. */
  readonly storm: number
  /** The seconds before, those until all are connected, and some behind them. */
  readonly parts: ReadonlyArray<StormPart>
  /** RTP packets of those who were there, in the whole run, and what of it was not heard. */
  readonly sent: number
  readonly lost: number
  /** Things the service dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>
  /** Of those who join: offer → connected; all offers come together. */
  readonly setUpMs: Spread
  readonly setUpCpuMs: number
}

export interface StormPart {
  readonly seconds: number
  readonly percentCore: number
  readonly eventLoopP99Ms: number
  readonly eventLoopMaxMs: number
  /** Of those who were there. */
  readonly packetToEngineMs: Spread
  readonly frames: number
  /** All processors, whoever uses them: those who join are on it too. */
  readonly machinePercent: number
}

const BEFORE_S = 6
const AFTER_S = 6
const DRAIN_S = 1.5
/** The service gives a peer up after 15 s; those behind it wait for longer. */
const STORM_S = 40
const FRAME_MS = 80

export const storm = Effect.fnUntraced(function* (
  crowd: Crowd,
  joining: number,
  options: SpeakersOptions
): Effect.fn.Return<StormCost, Processes.ProcessError, Scope.Scope> {
  const { levels, speakers, speaking, warmUp } = crowd
  const { silence } = options
  const stage = yield* Stage.make(crowd, options)
  const seconds = warmUp + BEFORE_S + STORM_S + AFTER_S
  const of = { of: speakers, seconds, speaking, silence, levels }
  const group = yield* Stage.publishers(stage, { ...of, first: 0, speakers })
  const joiners = yield* Stage.publishers(stage, { ...of, first: speakers, speakers: joining, atOnce: joining })
  yield* Stage.join(group)
  yield* Stage.present(stage, speakers)
  yield* Stage.speak(group)
  yield* Effect.sleep(warmUp * 1000)

  const machine = Processes.machineMeter()
  const look = Effect.map(stage.runners.look(), (standings) => ({
    atMs: performance.timeOrigin + performance.now(),
    standings,
    machinePercent: machine()
  }))
  const look0 = yield* look
  yield* Effect.sleep(BEFORE_S * 1000)
  const look1 = yield* look
  const { setUpMs } = yield* Stage.join(joiners)
  // No look before this one, which is of all the time since the last.
  const look2 = yield* look
  yield* Effect.sleep(AFTER_S * 1000)
  const look3 = yield* look
  yield* Stage.present(stage, speakers + joining)
  const sent = yield* Stage.stop(group)
  yield* Effect.sleep(DRAIN_S * 1000)
  const end = yield* stage.runners.look()

  const { sessions } = yield* Stage.heard(stage)
  const material = yield* Material.make(yield* Speech.load, silence)
  const packets = Math.ceil(seconds * 50)
  const parts = Array.from({ length: speakers }, (_, speaker) =>
    Part.make(material, { speaker, speakers, speaking, packets })
  )
  type Look = typeof look0
  const partOf = (from: Look, until: Look): StormPart => {
    const untilMs = until.atMs - FRAME_MS
    const { delaysMs } = Arrivals.find({ material, parts, sent, sessions, fromMs: from.atMs, untilMs })
    const { eventLoopMaxMs, eventLoopP99Ms } = Runners.together(until.standings)
    const costs = Runners.costs(from.standings, until.standings)
    return {
      seconds: (until.atMs - from.atMs) / 1000,
      percentCore: sum(costs.map(({ percentCore }) => percentCore)),
      eventLoopP99Ms,
      eventLoopMaxMs,
      packetToEngineMs: spread(delaysMs),
      frames: delaysMs.length,
      machinePercent: until.machinePercent
    }
  }
  const { drops } = Runners.together(end)
  const { lost: gaveUp = 0, late = 0, ...others } = drops
  const sentPackets = sent.untilPacket.at(-1) ?? 0
  const received = sum(
    end.flatMap(({ receivedOf }) => receivedOf.map(({ packets: heard, speaker }) => (speaker < speakers ? heard : 0)))
  )
  const cpuMs = Runners.together(look2.standings).cpuMs - Runners.together(look1.standings).cpuMs
  const before = partOf(look0, look1)
  const during = partOf(look1, look2)
  return {
    ...crowd,
    storm: joining,
    parts: [before, during, partOf(look2, look3)],
    sent: sentPackets,
    lost: Math.max(sentPackets - received + late, gaveUp),
    drops: others,
    setUpMs: spread(setUpMs),
    // What the others cost meanwhile is known from before.
    setUpCpuMs: (cpuMs - 10 * before.percentCore * during.seconds) / joining
  }
})

const sum = (values: ReadonlyArray<number>) => values.reduce((all, one) => all + one, 0)

const names = ["before", "while they join", "behind that"]

/** A row for each part, for people. */
export const table = ({
  drops,
  lost,
  parts,
  sent,
  setUpCpuMs,
  setUpMs,
  speakers,
  storm: joining
}: StormCost): string => {
  const rows = parts.map(
    ({ eventLoopMaxMs, eventLoopP99Ms, machinePercent, packetToEngineMs, percentCore, seconds }, n) =>
      [
        (names[n] ?? "").padEnd(16),
        `${seconds.toFixed(1)} s`.padStart(8),
        `${percentCore.toFixed(1)} %`.padStart(9),
        `${packetToEngineMs.p50.toFixed(1)} / ${packetToEngineMs.p99.toFixed(1)} ms`.padStart(22),
        `${eventLoopP99Ms.toFixed(1)} / ${eventLoopMaxMs.toFixed(0)} ms`.padStart(18),
        `${machinePercent.toFixed(0)} %`.padStart(9)
      ].join("")
  )
  const dropped = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`)
  return [
    `${joining} join at once while ${speakers} are heard`,
    `                     long  of a core  packet → engine p50/p99  loop p99/at most  machine`,
    ...rows,
    `packets of those who were there: ${sent} sent, ${lost} not heard; dropped: ${dropped.join(", ") || "nothing"}`,
    `set-up of each: p50 ${setUpMs.p50.toFixed(0)} ms, p99 ${setUpMs.p99.toFixed(0)} ms, ${setUpCpuMs.toFixed(1)} ms of CPU`
  ].join("\n")
}
