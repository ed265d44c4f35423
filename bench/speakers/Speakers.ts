/**
 * What speakers of calls cost the service, from their packets to the engine, and how late their speech is there: publishers, service and engine
 * are a process each.
 */
import { cpus } from "node:os"
import { Effect, type Scope } from "effect"
import { type Calibration, calibrate } from "../Calibration.ts"
import * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Arrivals from "./Arrivals.ts"
import * as Material from "./Material.ts"
import * as Part from "./Part.ts"
import * as Residence from "./Residence.ts"
import * as Runners from "./Runners.ts"
import * as Saturation from "./Saturation.ts"
import type { Crowd, SpeakersOptions } from "./SpeakersOptions.ts"
import * as Stage from "./Stage.ts"

export interface SpeakersCost extends Crowd, Calibration {
  readonly silence: Material.Silence
  readonly seconds: number
  readonly srtp: string
  /** `process.cpuUsage` of the service, of one core, all its runners together; and what of that the kernel needed. */
  readonly percentCore: number
  readonly percentCoreSystem: number
  readonly percentCorePerSpeaker: number
  readonly perRunner: ReadonlyArray<Runners.RunnerCost>
  /** RTP packets of the whole run that were sent, and that were not heard: those that came too late among them. */
  readonly sent: number
  readonly lost: number
  readonly late: number
  /** Things the service dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>
  /** Speech at the engine, of what was spoken; what surrounds speech makes it more than 100. */
  readonly heardPercent: number
  readonly eventLoopP50Ms: number
  readonly eventLoopP99Ms: number
  readonly eventLoopMaxMs: number
  readonly packetToEngineMs: Spread
  /** Frames that the two are of, and sessions whose speaker is unknown. */
  readonly frames: number
  readonly strangers: number
  readonly engineSessions: number
  /** Of each runner before anybody joined. */
  readonly baseRssMb: number
  readonly rssMb: number
  readonly rssMbPerSpeaker: number
  /** What of that is speech that is remembered. */
  readonly ringMbPerSpeaker: number
  /** RSS of all runners while it was measured, and how fast it grew at last. */
  readonly residence: Residence.Residence
  /** Live, after a collection: V8's heap and what hangs on it outside. */
  readonly heapMbPerSpeaker: number
  readonly externalMbPerSpeaker: number
  /** Offer sent → connected, and the service's CPU from the first offer to the last connection. */
  readonly setUpMs: Spread
  readonly setUpCpuMs: number
  readonly joinSeconds: number
  /** What the other processes used of a core, and how late packets were sent: a load that cannot keep up measures itself. */
  readonly engine: { readonly percentCore: number }
  readonly publishers: { readonly percentCore: number; readonly lateP99Ms: number }
  /** All processors, whoever uses them; and what of one core was used by nobody of ours. */
  readonly machinePercent: number
  readonly othersPercentCore: number
  /** Others filled the machine: what was lost and late may be theirs. */
  readonly isDisturbed: boolean
  /** Why more than this cannot be heard; absent: there is room left. */
  readonly saturated?: string
}

/** What is under way arrives. */
const DRAIN_S = 1.5
/** Of the last packets of the window that are sent, nobody waits for the frame. */
const FRAME_MS = 80

/** One run; takes as long as was asked for, and some 15 s and 40 ms a speaker. */
export const speakers = Effect.fnUntraced(function* (
  crowd: Crowd,
  options: SpeakersOptions
): Effect.fn.Return<SpeakersCost, Processes.ProcessError, Scope.Scope> {
  const { levels, speakers: number, speaking, warmUp } = crowd
  const { seconds, silence } = options
  const calibration = yield* calibrate
  const stage = yield* Stage.make(crowd, options)
  const length = warmUp + seconds + DRAIN_S
  const task = { first: 0, speakers: number, of: number, seconds: length, speaking, silence, levels }
  const group = yield* Stage.publishers(stage, task)
  const standing = yield* stage.runners.look(true)
  const base = Runners.together(standing)

  const joined = yield* Stage.join(group)
  const met = yield* Stage.present(stage, number)
  const present = Runners.together(met)
  yield* Stage.speak(group)
  yield* Effect.sleep(warmUp * 1000)

  const machine = Processes.machineMeter()
  const meters = { engine: Processes.meter(stage.engine), publishers: Processes.meter(group.process) }
  const before = yield* stage.runners.look()
  const fromMs = performance.timeOrigin + performance.now()
  const residence = yield* Residence.during(seconds, stage.runners.residentMb)
  const looked = yield* stage.runners.look()
  const after = Runners.together(looked)
  const untilMs = performance.timeOrigin + performance.now() - FRAME_MS
  const [engine, load, machinePercent] = [meters.engine(), meters.publishers(), machine()]

  const sent = yield* Stage.stop(group)
  yield* Effect.sleep(DRAIN_S * 1000)
  const end = Runners.together(yield* stage.runners.look(true))
  const { sessions } = yield* Stage.heard(stage)
  const material = yield* Material.make(yield* Speech.load, silence)
  const packets = Math.ceil(length * 50)
  const parts = Array.from({ length: number }, (_, speaker) =>
    Part.make(material, { speaker, speakers: number, speaking, packets })
  )
  const arrivals = Arrivals.find({ material, parts, sent, sessions, fromMs, untilMs })

  const perRunner = Runners.costs(before, looked)
  const percentCore = sum(perRunner.map((one) => one.percentCore))
  const { lost: gaveUp = 0, late = 0, ...drops } = end.drops
  const sentPackets = sent.untilPacket.at(-1) ?? 0
  const cost = {
    ...crowd,
    silence,
    seconds,
    srtp: joined.srtp,
    percentCore,
    percentCoreSystem: sum(perRunner.map((one) => one.percentCoreSystem)),
    percentCorePerSpeaker: percentCore / number,
    perRunner,
    sent: sentPackets,
    // Whatever a voice gave up waiting for was lost or came late; what was lost last, nothing followed to tell.
    lost: Math.max(sentPackets - end.received + late, gaveUp),
    late,
    drops,
    heardPercent: (100 * arrivals.heardMs) / arrivals.spokenMs,
    eventLoopP50Ms: after.eventLoopP50Ms,
    eventLoopP99Ms: after.eventLoopP99Ms,
    eventLoopMaxMs: after.eventLoopMaxMs,
    packetToEngineMs: spread(arrivals.delaysMs),
    frames: arrivals.delaysMs.length,
    strangers: arrivals.strangers,
    engineSessions: after.engineSessions,
    baseRssMb: Math.max(...standing.map(({ rssMb }) => rssMb)),
    rssMb: after.rssMb,
    rssMbPerSpeaker: (after.rssMb - base.rssMb) / number,
    ringMbPerSpeaker: after.ringMb / number,
    residence,
    heapMbPerSpeaker: (end.heapMb - base.heapMb) / number,
    externalMbPerSpeaker: (end.externalMb - base.externalMb) / number,
    setUpMs: spread(joined.setUpMs),
    setUpCpuMs: (present.cpuMs - base.cpuMs) / number,
    joinSeconds: ((met[0]?.atMs ?? 0) - (standing[0]?.atMs ?? 0)) / 1000,
    engine: { percentCore: engine.percent },
    publishers: { percentCore: load.percent, lateP99Ms: sent.lateP99Ms },
    machinePercent,
    othersPercentCore: machinePercent * cpus().length - percentCore - engine.percent - load.percent,
    ...calibration
  }
  const ownPercent = machinePercent - cost.othersPercentCore / cpus().length
  const saturated = Saturation.of({ ...cost, ownPercent })
  const isDisturbed = Saturation.isDisturbed({ machinePercent, ownPercent })
  return { ...cost, isDisturbed, ...(saturated === undefined ? {} : { saturated }) }
})

const sum = (values: ReadonlyArray<number>) => values.reduce((all, one) => all + one, 0)
