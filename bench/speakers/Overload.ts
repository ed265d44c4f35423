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
  /** RTP packets that were sent and not heard, of what each voice sent in the second part: of all, the luckiest and the unluckiest. */
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
/** A frame or an answer later than this is late. */
const LATE_MS = 100
/** Who was late so shortly before the end has not recovered. */
const SETTLED_MS = 2000

export const overload = Effect.fnUntraced(function* (
  crowd: Crowd,
  peak: number,
  options: SpeakersOptions
): Effect.fn.Return<OverloadCost, Processes.ProcessError, Scope.Scope> {
  const { levels, speakers, speaking } = crowd
  const { seconds, silence, warmUp } = options
  const port = yield* Health.freePort
  const stage = yield* Stage.make(crowd, options, port)
  const length = warmUp + BEFORE_S + PREPARING_S + seconds + AFTER_S
  const of = { of: peak, speaking, silence, levels }
  const group = yield* Stage.publishers(stage, { ...of, first: 0, speakers, seconds: length })
  const extra = yield* Stage.publishers(stage, { ...of, first: speakers, speakers: peak - speakers, seconds })
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
  const endedMs = nowMs()
  const extraSent = yield* Stage.stop(extra)
  const look3 = yield* begin
  yield* Effect.sleep(AFTER_S * 1000)
  const look4 = yield* begin
  const sent = yield* Stage.stop(group)
  yield* Fiber.interrupt(asking)
  yield* Effect.sleep(DRAIN_S * 1000)
  const end = yield* stage.runners.look()

  const { sessions } = yield* Stage.heard(stage)
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
    lostPercent: extentOf(lossesOf(end, [sent, extraSent], [speakers, peak - speakers], seconds)),
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

/** Of each voice what was not heard, of what it sent in so many seconds, %. */
const lossesOf = (
  end: ReadonlyArray<Wire.Standing>,
  sent: ReadonlyArray<Wire.Sent>,
  speakers: ReadonlyArray<number>,
  seconds: number
): ReadonlyArray<number> => {
  const received = new Map(
    end.flatMap(({ receivedOf }) => receivedOf.map((one) => [one.speaker, one.packets] as const))
  )
  let first = 0
  return sent.flatMap(({ untilPacket }, group) => {
    const [number = 0, from] = [speakers[group], first]
    first += number
    const total = untilPacket.at(-1) ?? 0
    // They go out one per speaker in turn.
    return Array.from({ length: number }, (_, n) => {
      const own = Math.ceil((total - n) / number)
      return (100 * (own - (received.get(from + n) ?? 0))) / (50 * seconds)
    })
  })
}

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
  const late = came.filter(({ ms }) => ms > LATE_MS).map(({ atMs }) => atMs)
  const last = Math.max(fromMs, ...late)
  return last > untilMs - SETTLED_MS ? {} : { [what]: last - fromMs }
}
