/**
 * What speakers of calls on a real HPB cost: the HPB, Janus, publishers, service and engine are a process each, in namespaces of their own.
 */
import { cpus } from "node:os"
import { Effect, Schedule, type Scope } from "effect"
import type { Engine } from "../../test/talk/Engine.ts"
import * as Service from "../../test/talk/Service.ts"
import * as Stack from "../../test/talk/Stack.ts"
import * as Viewer from "../../test/talk/Viewer.ts"
import { type Calibration, calibrate } from "../Calibration.ts"
import { ask, message } from "../process/Channel.ts"
import * as Health from "../process/Health.ts"
import * as Processes from "../process/Processes.ts"
import { type Spread, spread } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Arrivals from "../speakers/Arrivals.ts"
import * as Material from "../speakers/Material.ts"
import * as Part from "../speakers/Part.ts"
import * as Saturation from "../speakers/Saturation.ts"
import * as Wire from "../speakers/Wire.ts"
import * as Doorway from "./Doorway.ts"
import type { Ground } from "./Talk.ts"
import type { TalkOptions } from "./TalkOptions.ts"

export interface TalkCost extends Calibration {
  readonly speakers: number
  readonly speaking: number
  readonly levels: boolean
  readonly seconds: number
  readonly hpbVersion: string
  /** Of one core: the service alone. */
  readonly percentCore: number
  readonly percentCorePerSpeaker: number
  readonly hpb: { readonly percentCore: number }
  readonly janus: { readonly percentCore: number }
  readonly engine: { readonly percentCore: number }
  readonly publishers: { readonly percentCore: number; readonly lateP99Ms: number }
  /** RTP packets that were sent, and that the service did not have, wherever they went: on the way into Janus, in it, or in the service. */
  readonly sent: number
  readonly lost: number
  readonly heardPercent: number
  /** Through Janus. */
  readonly packetToEngineMs: Spread
  readonly frames: number
  readonly strangers: number
  readonly healthMs: Spread
  readonly baseRssMb: number
  readonly rssMbPerSpeaker: number
  readonly joinSeconds: number
  readonly machinePercent: number
  readonly othersPercentCore: number
  /** Others filled the machine: what was lost and late may be theirs. */
  readonly isDisturbed: boolean
  /** Why more than this cannot be heard here; absent: there is room left. */
  readonly saturated?: string
}

const CALL = 20
const TOKEN = "benchmark"
const WARM_UP_S = 6
const DRAIN_S = 1.5
const FRAME_MS = 80
/** All voices are subscribed by then. */
const JOIN_WITHIN_MS = 60_000

const callOf = (speaker: number) => `call-${Math.floor(speaker / CALL)}`

/** One run, on a stack of its own. */
export const talkSpeakers = Effect.fnUntraced(function* (
  number: number,
  options: TalkOptions,
  ground: Ground
): Effect.fn.Return<TalkCost, unknown, Scope.Scope> {
  const { levels, seconds, service: main, speaking } = options
  const hpb = ground.hpbs.find(({ generation }) => generation === "2")
  if (hpb === undefined) return yield* Effect.die(new Error("no HPB"))
  const calibration = yield* calibrate
  const bench = { ...ground, main }
  const stack = yield* Stack.make({ bench, name: `bench-${number}`, hpb })
  const sink = yield* Processes.start({ args: [Processes.beside(import.meta.url, "../speakers/runSink.ts")] })
  const { url } = yield* message(sink, Wire.SinkReady)
  const port = yield* Health.freePort
  const env = { LOG_LEVEL: "warn", PORT: String(port), LT_LISTEN_HOST: "127.0.0.1", LT_API_TOKEN: TOKEN }
  const service = yield* Service.make(stack, withoutEars(url), { ...env, LT_MAX_SPEAKERS: "1000" })
  const baseRssMb = service.rssMb()

  const length = WARM_UP_S + seconds + DRAIN_S
  const task: Wire.Task = {
    first: 0,
    speakers: number,
    of: number,
    seconds: length,
    speaking,
    silence: "muted",
    levels
  }
  const program = Processes.beside(import.meta.url, "../speakers/runPublishers.ts")
  const publishers = yield* Processes.start({ args: [program, JSON.stringify(task)] })
  yield* message(publishers, Wire.PublishersReady)
  const beganMs = performance.now()
  yield* connect(stack, publishers, number)
  yield* switchOn(stack, service, number)
  const joined = yield* ask(publishers, Wire.Join.make({}), Wire.Joined)
  yield* service.status.pipe(
    Effect.repeat({ until: ({ speakers }) => speakers === number, schedule: Schedule.spaced("200 millis") }),
    Effect.timeout(JOIN_WITHIN_MS)
  )
  const joinSeconds = (performance.now() - beganMs) / 1000
  yield* ask(publishers, Wire.Speak.make({}), Wire.Speaking)
  yield* Effect.sleep(WARM_UP_S * 1000)

  const answers: Array<Health.HealthAnswer> = []
  yield* Effect.forkScoped(Health.ask(port, answers))
  const machine = Processes.machineMeter()
  const meters = [
    meter(service.cpuMs),
    meter(Service.observe(stack.hpb.current().pid).cpuMs),
    meter(Service.observe(stack.janus.current().pid).cpuMs),
    meter(cpuMsOf(sink)),
    meter(cpuMsOf(publishers))
  ]
  const fromMs = nowMs()
  yield* Effect.sleep(seconds * 1000)
  const untilMs = nowMs() - FRAME_MS
  const [percentCore = 0, ofHpb = 0, ofJanus = 0, ofEngine = 0, ofPublishers = 0] = meters.map((read) => read())
  const machinePercent = machine()
  const rssMb = service.rssMb()
  const healthMs = spread(answers.map(({ ms }) => ms))

  const sent = yield* ask(publishers, Wire.Stop.make({}), Wire.Sent)
  yield* Effect.sleep(DRAIN_S * 1000)
  const received = yield* packetsOf(port)
  const { sessions } = yield* ask(sink, {}, Wire.SinkLog)
  const material = yield* Material.make(yield* Speech.load, "muted")
  const packets = Math.ceil(length * 50)
  const parts = Array.from({ length: number }, (_, speaker) =>
    Part.make(material, { speaker, speakers: number, speaking, packets })
  )
  const arrivals = Arrivals.find({ material, parts, sent, sessions, fromMs, untilMs })
  const sentPackets = sent.untilPacket.at(-1) ?? 0
  const own = percentCore + ofHpb + ofJanus + ofEngine + ofPublishers
  const cost = {
    speakers: joined.setUpMs.length,
    speaking,
    levels,
    seconds,
    hpbVersion: hpb.version,
    percentCore,
    percentCorePerSpeaker: percentCore / number,
    hpb: { percentCore: ofHpb },
    janus: { percentCore: ofJanus },
    engine: { percentCore: ofEngine },
    publishers: { percentCore: ofPublishers, lateP99Ms: sent.lateP99Ms },
    sent: sentPackets,
    lost: Math.max(0, sentPackets - received),
    heardPercent: (100 * arrivals.heardMs) / arrivals.spokenMs,
    packetToEngineMs: spread(arrivals.delaysMs),
    frames: arrivals.delaysMs.length,
    strangers: arrivals.strangers,
    healthMs,
    baseRssMb,
    rssMbPerSpeaker: (rssMb - baseRssMb) / number,
    joinSeconds,
    machinePercent,
    othersPercentCore: machinePercent * cpus().length - own,
    ...calibration
  }
  const ownPercent = own / cpus().length
  const saturated = Saturation.of({ ...cost, perRunner: [{ percentCore }], ownPercent })
  const isDisturbed = Saturation.isDisturbed({ machinePercent, ownPercent })
  return { ...cost, isDisturbed, ...(saturated === undefined ? {} : { saturated }) }
})

/** Everybody is in their call; what publishers and Janus have to tell each other passes through. */
const connect = Effect.fnUntraced(function* (stack: Stack.Stack, publishers: Processes.Measured, number: number) {
  const tell = (instruction: object) => publishers.child.send(instruction)
  const doorways = yield* Effect.forEach(
    Array.from({ length: number }, (_, speaker) => speaker),
    (speaker) =>
      Doorway.open({
        nextcloud: stack.nextcloud,
        room: callOf(speaker),
        name: `speaker-${speaker}`,
        onAnswer: (sdp) => tell(Wire.Answer.make({ speaker, sdp })),
        onCandidate: (candidate) => tell(Wire.Candidate.make({ speaker, candidate }))
      }),
    { concurrency: 5 }
  )
  publishers.child.on("message", (given: object) => {
    if (isOffer(given)) doorways[given.speaker]?.offer(given.sdp)
  })
})

/** Somebody reads in every call. */
const switchOn = Effect.fnUntraced(function* (stack: Stack.Stack, service: Service.Service, number: number) {
  const rooms = new Set(Array.from({ length: number }, (_, speaker) => callOf(speaker)))
  for (const room of rooms) {
    const viewer = yield* Viewer.make({ nextcloud: stack.nextcloud, room, name: `reader-${room}` })
    yield* service.transcribe({ roomToken: room, ncSessionId: viewer.ncSession, enable: true }, viewer.name)
  }
})

const isOffer = (given: object): given is Wire.Offer =>
  "_tag" in given && given._tag === "Offer" && "speaker" in given && "sdp" in given

/** The benchmark's engine in the place of the proof's, which has ears and says what it hears. */
const withoutEars = (url: string): Engine => ({
  url: () => url,
  told: Effect.succeed([]),
  counters: Effect.succeed({ opened: 0, active: 0, audioSeconds: 0, corrupt: 0, gaps: 0 })
})

/** RTP packets the service has counted so far. */
const packetsOf = (port: number) =>
  Effect.tryPromise(() =>
    fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } }).then((answer) =>
      answer.text()
    )
  ).pipe(Effect.map((text) => Number(/^transcription_packets_total(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1] ?? 0)))

const nowMs = () => performance.timeOrigin + performance.now()

const cpuMsOf =
  ({ cpu }: Processes.Measured) =>
  () => {
    const { systemMs, userMs } = cpu()
    return systemMs + userMs
  }

/** Percent of a core from now until it is asked. */
const meter = (cpuMs: () => number) => {
  const [before, beganMs] = [cpuMs(), performance.now()]
  return () => (100 * (cpuMs() - before)) / (performance.now() - beganMs)
}
