/**
 * More speakers than can be heard, for a while: who loses how much, whether HTTP is still answered, and how soon all is well again when they are
 * gone. Runs in three parts: some speakers, all of them, the first ones again.
 */
import { Effect, Fiber, type Scope } from "effect"
import * as Health from "../process/Health.ts"
import type * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Arrivals from "./Arrivals.ts"
import * as Material from "./Material.ts"
import * as Part from "./Part.ts"
import * as Runners from "./Runners.ts"
import type { Crowd, SpeakersOptions } from "./SpeakersOptions.ts"
import * as Stage from "./Stage.ts"
import type * as Wire from "./Wire.ts"

export interface OverloadCost extends Crowd {
  /** Speakers in the second part. */
  readonly overload: number
  readonly parts: ReadonlyArray<OverloadPart>
  /** RTP packets that did not come out of the peers, of what each voice sent in the second part: of all, the luckiest and the unluckiest. */
  readonly lostPercent: Extent
  /** Speech of the first speakers that came to the engine in the second part, of what each said. */
  readonly heardPercent: Extent
  /** From the end of the second part until no frame comes late any more, and no answer of HTTP; absent: not until the end. */
  readonly recoveredMs: { readonly speech?: number; readonly http?: number }
  /** Runners that still live. */
  readonly alive: number
}

export interface OverloadPart {
  readonly speakers: number
  readonly seconds: number
  /** Of the runners together; of the event loops the worst. */
  readonly percentCore: number
  readonly eventLoopP99Ms: number
  readonly eventLoopMaxMs: number
  readonly packetToEngineMs: Spread
  readonly healthMs: Spread & { readonly max: number }
  readonly healthFailed: number
  /** Things the service dropped meanwhile, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

export interface Extent {
  readonly least: number
  readonly mean: number
  readonly most: number
}

const BEFORE_S = 6
/** More than all that the kernel keeps of a voice (5 s), and the engine of a frame. */
const AFTER_S = 20
const DRAIN_S = 2
/** While the others encrypt what they are going to say, the first ones go on. */
const PREPARING_S = 20
/** So long a full runner may take to say how it is. */
const MORE_S = 10
const PACKET_MS = 20
/** A frame or an answer later than this is late. */
const LATE_MS = 100
/** All is well in half a second in which no more than one in twenty is late. */
const SLICE_MS = 500
const FEW = 0.05
/** Who was late so shortly before the end has not recovered. */
const SETTLED_MS = 2000

export const overload = Effect.fnUntraced(function* (
  crowd: Crowd,
  peak: number,
  options: SpeakersOptions
): Effect.fn.Return<OverloadCost, Processes.ProcessError, Scope.Scope> {
  const { levels, speakers, speaking, warmUp } = crowd
  const { seconds, silence } = options
  const port = yield* Health.freePort
  const stage = yield* Stage.make(crowd, options, port)
  const length = warmUp + BEFORE_S + PREPARING_S + seconds + MORE_S + AFTER_S
  const of = { of: peak, speaking, silence, levels }
  const group = yield* Stage.publishers(stage, { ...of, first: 0, speakers, seconds: length })
  const added = { ...of, first: speakers, speakers: peak - speakers, seconds: seconds + MORE_S }
  const extra = yield* Stage.publishers(stage, added)
  yield* Stage.join(group)
  yield* Stage.join(extra)
  yield* Stage.present(stage, peak)
  yield* Stage.speak(group)
  yield* Effect.sleep(warmUp * 1000)

  const answers: Array<Health.HealthAnswer> = []
  const asking = yield* Effect.forkChild(Health.ask(port, answers))
  const begin = glance(stage)
  const look0 = yield* begin
  yield* Effect.sleep(BEFORE_S * 1000)
  const look1 = yield* begin
  yield* Stage.speak(extra)
  const look2 = yield* begin
  yield* Effect.sleep(seconds * 1000)
  const look3 = yield* begin
  const endedMs = nowMs()
  yield* Stage.stop(extra)
  yield* Effect.sleep(AFTER_S * 1000)
  const look4 = yield* begin
  const sent = yield* Stage.stop(group)
  yield* Fiber.interrupt(asking)
  yield* Effect.sleep(DRAIN_S * 1000)

  const log = yield* Stage.heard(stage)
  // Those of the first speakers: all say the same sentences, and the others' are said at other times.
  const sessions = log.sessions.filter(({ atMs }) => (atMs[0] ?? Number.POSITIVE_INFINITY) < look1.atMs)
  const material = yield* Material.make(yield* Speech.load, silence)
  const packets = Math.ceil(length * 50)
  const parts = Array.from({ length: speakers }, (_, speaker) =>
    Part.make(material, { speaker, speakers: peak, speaking, packets })
  )
  const between = (fromMs: number, untilMs: number) =>
    Arrivals.find({ material, parts, sent, sessions, fromMs, untilMs })
  const all = between(look0.atMs, look4.atMs - LATE_MS)
  const during = between(look2.atMs, endedMs)
  const partOf = (from: Glance, until: Glance, number: number): OverloadPart => {
    const within = (atMs: number) => atMs >= from.atMs && atMs < until.atMs
    const asked = answers.filter(({ askedMs }) => within(askedMs))
    const took = asked.map(({ ms }) => ms)
    const costs = Runners.costs(from.standings, until.standings)
    const { drops, eventLoopMaxMs, eventLoopP99Ms } = Runners.together(until.standings)
    return {
      speakers: number,
      seconds: (until.atMs - from.atMs) / 1000,
      percentCore: costs.reduce((sum, { percentCore }) => sum + percentCore, 0),
      eventLoopP99Ms,
      eventLoopMaxMs,
      packetToEngineMs: spread(all.delaysMs.filter((_, n) => within(all.sentMs[n] ?? 0))),
      healthMs: { ...spread(took), max: Math.max(...took) },
      healthFailed: asked.filter(({ isHealthy }) => !isHealthy).length,
      drops: grown(Runners.together(from.standings).drops, drops)
    }
  }
  const frames = all.delaysMs.map((ms, n) => ({ atMs: (all.sentMs[n] ?? 0) + ms, ms }))
  const http = answers.map(({ askedMs, ms }) => ({ atMs: askedMs + ms, ms }))
  return {
    ...crowd,
    overload: peak,
    parts: [partOf(look0, look1, speakers), partOf(look2, look3, peak), partOf(look3, look4, speakers)],
    lostPercent: extentOf(lossesOf(look2.standings, look3.standings)),
    heardPercent: extentOf(during.heardMsOf.map((ms) => (100 * ms) / (speaking * (endedMs - look2.atMs)))),
    recoveredMs: {
      ...recovered("speech", frames, endedMs, look4.atMs),
      ...recovered("http", http, endedMs, look4.atMs)
    },
    alive: stage.runners.all.filter(({ child }) => child.exitCode === null).length
  }
})

interface Glance {
  readonly atMs: number
  readonly standings: ReadonlyArray<Wire.Standing>
}

const nowMs = () => performance.timeOrigin + performance.now()

/** How the runners are; a full one says so late, and means that moment. */
const glance = ({ runners }: Stage.Stage) =>
  Effect.map(runners.look(), (standings): Glance => ({ atMs: nowMs(), standings }))

/** Of each voice what was sent between two looks and did not come out of its peer, %. */
const lossesOf = (before: ReadonlyArray<Wire.Standing>, after: ReadonlyArray<Wire.Standing>): ReadonlyArray<number> =>
  after.flatMap(({ atMs, receivedOf }, n) => {
    const from = before[n]
    const had = new Map(from?.receivedOf.map((one) => [one.speaker, one.packets] as const))
    const sent = (atMs - (from?.atMs ?? 0)) / PACKET_MS
    return receivedOf.map(({ packets, speaker }) =>
      Math.max(0, 100 - (100 * (packets - (had.get(speaker) ?? 0))) / sent)
    )
  })

const extentOf = (values: ReadonlyArray<number>): Extent => ({
  least: Math.min(...values),
  mean: values.reduce((sum, one) => sum + one, 0) / values.length,
  most: Math.max(...values)
})

const grown = (before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    Object.entries(after).flatMap(([reason, count]) => {
      const more = count - (before[reason] ?? 0)
      return more > 0 ? [[reason, more] as const] : []
    })
  )

const recovered = (
  what: "http" | "speech",
  came: ReadonlyArray<{ readonly atMs: number; readonly ms: number }>,
  fromMs: number,
  untilMs: number
): OverloadCost["recoveredMs"] => {
  const slices = new Map<number, { all: number; late: number }>()
  for (const { atMs, ms } of came) {
    const slice = Math.ceil((atMs - fromMs) / SLICE_MS)
    const counts = slices.get(slice) ?? { all: 0, late: 0 }
    slices.set(slice, { all: counts.all + 1, late: counts.late + (ms > LATE_MS ? 1 : 0) })
  }
  const bad = [...slices].filter(([, { all, late }]) => late > all * FEW).map(([slice]) => fromMs + slice * SLICE_MS)
  const last = Math.max(fromMs, ...bad)
  return last > untilMs - SETTLED_MS ? {} : { [what]: last - fromMs }
}
