/**
 * What speakers of calls cost the service, from their packets to the engine, and how late their speech is there: publishers, service and engine
 * are a process each.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule, type Scope } from "effect"
import { calibrate } from "../Calibration.ts"
import { ask, message } from "../process/Channel.ts"
import * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Arrivals from "./Arrivals.ts"
import * as Material from "./Material.ts"
import * as Part from "./Part.ts"
import type { Crowd, SpeakersOptions } from "./SpeakersOptions.ts"
import * as Wire from "./Wire.ts"

export interface SpeakersCost extends Crowd {
  readonly silence: Material.Silence
  readonly seconds: number
  readonly srtp: string
  /** `process.cpuUsage` of the service, of one core; and what of that the kernel needed. */
  readonly percentCore: number
  readonly percentCoreSystem: number
  readonly percentCorePerSpeaker: number
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
  /** Before anybody joined. */
  readonly baseRssMb: number
  readonly rssMb: number
  readonly rssMbPerSpeaker: number
  /** What of that is speech that is remembered. */
  readonly ringMbPerSpeaker: number
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
  /** The calibration: µs of CPU to decode 20 ms of speech, before the run. */
  readonly decodeMicroseconds: number
}

/** Until code is compiled, engines are connected and buffers have their size. */
const WARM_UP_S = 6
const LOOK_AGAIN = "50 millis"
/** The service gives a peer up after 15 s. */
const LOOKS = 300
/** What is under way arrives. */
const DRAIN_S = 1.5
/** Of the last packets of the window that are sent, nobody waits for the frame. */
const FRAME_MS = 80

/** One run; takes as long as was asked for, and some 15 s and 40 ms a speaker. */
export const speakers = Effect.fnUntraced(function* (
  crowd: Crowd,
  options: SpeakersOptions
): Effect.fn.Return<SpeakersCost, Processes.ProcessError, Scope.Scope> {
  const { levels, speakers: number, speaking } = crowd
  const { seconds, silence } = options
  const decodeMicroseconds = yield* calibrate
  const sink = yield* startSink
  const service = yield* startService(options, sink.url)
  const length = WARM_UP_S + seconds + DRAIN_S
  const task = { speakers: number, seconds: length, speaking, silence, levels }
  const publishers = yield* startPublishers(task, service)
  const base = yield* lookAt(service, true)

  const joined = yield* ask(publishers, Wire.Join.make({}), Wire.Joined)
  // The service's end of the last handshake may come a little after the publisher's.
  const present = yield* lookAt(service).pipe(
    Effect.repeat({
      schedule: Schedule.spaced(LOOK_AGAIN),
      times: LOOKS,
      until: ({ connected }) => connected === number
    })
  )
  if (present.connected !== number) {
    const detail = `${present.connected} of ${number} publishers are connected:\n${service.output()}`
    return yield* new Processes.ProcessError({ detail })
  }
  yield* ask(publishers, Wire.Speak.make({}), Wire.Speaking)
  yield* Effect.sleep(WARM_UP_S * 1000)

  const machine = Processes.machineMeter()
  const meters = { engine: Processes.meter(sink), publishers: Processes.meter(publishers) }
  const before = yield* lookAt(service)
  const fromMs = performance.timeOrigin + performance.now()
  yield* Effect.sleep(seconds * 1000)
  const after = yield* lookAt(service)
  const untilMs = performance.timeOrigin + performance.now() - FRAME_MS
  const [engine, load, machinePercent] = [meters.engine(), meters.publishers(), machine()]

  const sent = yield* ask(publishers, Wire.Stop.make({}), Wire.Sent)
  yield* Effect.sleep(DRAIN_S * 1000)
  const end = yield* lookAt(service, true)
  const { sessions } = yield* ask(sink, {}, Wire.SinkLog)
  const material = yield* Material.make(yield* Speech.load, silence)
  const packets = Math.ceil(length * 50)
  const parts = Array.from({ length: number }, (_, speaker) =>
    Part.make(material, { speaker, speakers: number, speaking, packets })
  )
  const arrivals = Arrivals.find({ material, parts, sent, sessions, fromMs, untilMs })

  const percentOf = (usedMs: number) => (100 * usedMs) / (after.atMs - before.atMs)
  const percentCoreSystem = percentOf(after.systemMs - before.systemMs)
  const percentCore = percentCoreSystem + percentOf(after.userMs - before.userMs)
  const { lost: gaveUp = 0, late = 0, ...drops } = end.drops
  const sentPackets = sent.untilPacket.at(-1) ?? 0
  return {
    ...crowd,
    silence,
    seconds,
    srtp: joined.srtp,
    percentCore,
    percentCoreSystem,
    percentCorePerSpeaker: percentCore / number,
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
    baseRssMb: base.rssMb,
    rssMb: after.rssMb,
    rssMbPerSpeaker: (after.rssMb - base.rssMb) / number,
    ringMbPerSpeaker: after.ringMb / number,
    heapMbPerSpeaker: (end.heapMb - base.heapMb) / number,
    externalMbPerSpeaker: (end.externalMb - base.externalMb) / number,
    setUpMs: spread(joined.setUpMs),
    setUpCpuMs: (present.userMs + present.systemMs - base.userMs - base.systemMs) / number,
    joinSeconds: (present.atMs - base.atMs) / 1000,
    engine: { percentCore: engine.percent },
    publishers: { percentCore: load.percent, lateP99Ms: sent.lateP99Ms },
    machinePercent,
    othersPercentCore: machinePercent * cpus().length - percentCore - engine.percent - load.percent,
    decodeMicroseconds
  }
})

const lookAt = (service: Processes.Measured, settle = false) => ask(service, Wire.Look.make({ settle }), Wire.Standing)

const startSink = Effect.gen(function* () {
  const measured = yield* Processes.start({ args: [Processes.beside(import.meta.url, "runSink.ts")] })
  const { url } = yield* message(measured, Wire.SinkReady)
  return { ...measured, url }
})

const startService = Effect.fnUntraced(function* ({ oneCore, profile }: SpeakersOptions, engineUrl: string) {
  const storage = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
  const measured = yield* Processes.start({
    args: ["--expose-gc", ...profiling, Processes.beside(import.meta.url, "runService.ts")],
    oneCore,
    env: { STT_STREAM_URL: engineUrl, APP_PERSISTENT_STORAGE: storage, LOG_LEVEL: "warn" }
  })
  yield* message(measured, Wire.ServiceReady)
  return measured
})

/** Offers and answers pass between the two from now on. */
const startPublishers = Effect.fnUntraced(function* (task: Wire.Task, service: Processes.Measured) {
  const program = Processes.beside(import.meta.url, "runPublishers.ts")
  const measured = yield* Processes.start({ args: [program, JSON.stringify(task)] })
  const pass = (one: Processes.Measured, tag: string, other: Processes.Measured) =>
    one.child.on("message", (given: object) => {
      if ("_tag" in given && given._tag === tag) other.child.send(given)
    })
  yield* message(measured, Wire.PublishersReady)
  pass(measured, "Offer", service)
  pass(service, "Answer", measured)
  return measured
})
