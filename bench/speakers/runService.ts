/**
 * The service's media path as a process of its own: peers, voices, journal, transcriber and engine sockets as `App` puts them together,
 * configured by the environment; without signalling, and with captions that nobody reads. The only argument is a `ServiceTask` as JSON; takes
 * each `Request` over the channel to the parent.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, FiberSet, Layer, Metric, Redacted, Schema } from "effect"
import * as App from "../../src/App.ts"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { emptyRoster } from "../../src/domain/Roster.ts"
import * as AppConfig from "../../src/layers/AppConfig.ts"
import * as CallVoices from "../../src/layers/CallVoices.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as FileSpeechJournal from "../../src/layers/FileSpeechJournal.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import { type PacketListener, PeerConnection } from "../../src/services/PeerConnection.ts"
import { SpeechJournal } from "../../src/services/SpeechJournal.ts"
import type { CallSink } from "../../src/services/TranscriptSink.ts"
import { say } from "../process/Channel.ts"
import { Answer, type Offer, Request, ServiceReady, ServiceTask, Standing } from "./Wire.ts"

/** Speakers of one call. */
const CALL = 20
const RESOLUTION_MS = 10
const MEDIA_PATHS = { fast: "batched", single: "short", plain: "werift" } as const
const MB = 1024 * 1024

const nobodyReads: CallSink = {
  publish: () => {},
  speakerLeft: () => {},
  resumed: () => {},
  rejoined: () => {},
  drain: Effect.void
}

const makeCall = Effect.fnUntraced(function* (number: number) {
  const room = RoomToken.make(`call-${number}`)
  return yield* CallVoices.make({
    room,
    sink: nobodyReads,
    roster: () => emptyRoster,
    language: () => LanguageId.make("en"),
    privacy: () => "any",
    journal: yield* (yield* SpeechJournal).open(room)
  })
})

const run = Effect.gen(function* () {
  const peers = yield* PeerConnection
  const fork = yield* FiberSet.makeRuntime<never, void, unknown>()
  const inThisScope = yield* Effect.context<Effect.Services<ReturnType<typeof makeCall>>>()
  const calls = new Map<number, Effect.Effect<CallVoices.CallVoices>>()
  const packetsOf = new Map<number, { packets: number }>()
  const eventLoop = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  eventLoop.enable()
  let connected = 0
  let received = 0

  /** Speakers fill one call after the other, as they come. */
  const nextCall = Effect.suspend(() => {
    const number = Math.floor(packetsOf.size / CALL)
    const known = calls.get(number)
    if (known !== undefined) return known
    return Effect.flatMap(Effect.cached(Effect.provideContext(makeCall(number), inThisScope)), (made) => {
      calls.set(number, made)
      return made
    })
  })

  const hear = Effect.fnUntraced(function* ({ sdp, speaker }: Offer) {
    const call = yield* nextCall
    const heard = { packets: 0 }
    packetsOf.set(speaker, heard)
    let voice: PacketListener | undefined
    const count = () => {
      received++
      heard.packets++
    }
    const peer = yield* peers.open({
      sdp,
      iceServers: [],
      onPacket: (packet) => {
        if (packet.wasPassedOver !== true) count()
        voice?.onPacket(packet)
      },
      silence: {
        passage: (audioLevel, payloadBytes, atMs) => {
          const passage = voice?.silence?.passage(audioLevel, payloadBytes, atMs) ?? "open"
          if (passage !== "open") count()
          return passage
        },
        isSilent: (packet) => voice?.silence?.isSilent(packet) ?? true,
        mayWait: () => voice?.silence?.mayWait?.()
      },
      onState: (state) => {
        if (state !== "connected") return
        connected++
        voice = call.start({ publisher: SessionId.make(`speaker-${speaker}`), roomType: "video" })
      },
      // All of them are in the answer: there is no server to ask for more.
      onCandidate: () => {}
    })
    yield* say(Answer.make({ speaker, sdp: peer.answer }))
    return yield* Effect.never
  }, Effect.scoped)

  const look = Effect.fnUntraced(function* (settle: boolean) {
    if (settle) settled()
    const { system, user } = process.cpuUsage()
    const { external, heapUsed, rss } = process.memoryUsage()
    const sizeOf = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS)
    const standing = Standing.make({
      atMs: performance.now(),
      userMs: user / 1000,
      systemMs: system / 1000,
      rssMb: rss / MB,
      heapMb: heapUsed / MB,
      externalMb: external / MB,
      ringMb: (yield* Metric.value(Metrics.ringBytes)).value / MB,
      engineSessions: (yield* Metric.value(Metrics.engineSessionsActive)).value,
      eventLoopP50Ms: sizeOf(eventLoop.percentile(50)),
      eventLoopP99Ms: sizeOf(eventLoop.percentile(99)),
      eventLoopMaxMs: sizeOf(eventLoop.max),
      connected,
      received,
      receivedOf: Array.from(packetsOf, ([speaker, { packets }]) => ({ speaker, packets })),
      drops: yield* droppedByReason
    })
    eventLoop.reset()
    yield* say(standing)
  })

  process.on("message", (given) => {
    fork(
      Schema.decodeUnknownEffect(Request)(given).pipe(
        Effect.flatMap((request) => (request._tag === "Offer" ? hear(request) : look(request.settle))),
        Effect.tapCause((cause) => Effect.logError("a request of the benchmark failed", cause))
      )
    )
  })
  yield* say(ServiceReady.make({}))
  return yield* Effect.never
})

/**
 * As it is once nobody has wanted anything for some 10 s: V8 then gives back by itself the room for what is new. What the C library keeps, the service has
 * given back when it had started.
 */
const settled = () => {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" })
  const addon = NativeAddon.load()
  if (typeof addon !== "string") addon.trimMemory()
}

const droppedByReason = Effect.gen(function* () {
  const lost = (yield* Metric.value(Metrics.packetsLost)).count
  const snapshot = yield* Metric.snapshot
  const drops = snapshot.flatMap((one) =>
    one.id === Metrics.drops.id && one.type === "Counter" && one.attributes?.["reason"] !== undefined
      ? [[one.attributes["reason"], Number(one.state.count)] as const]
      : []
  )
  return Object.fromEntries([...drops, ["lost", lost] as const].filter(([, count]) => count > 0))
})

const service = Effect.gen(function* () {
  const task = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(ServiceTask))(process.argv[2])
  const config = yield* AppConfig.load
  const layers = Layer.mergeAll(
    WeriftPeerConnection.layer({ mediaPath: MEDIA_PATHS[task.path] }),
    OpusDecoder.layerForMany,
    // What a call has heard is kept on the disk until it is said.
    FileSpeechJournal.layer({ storage: AppConfig.storageOf(config), secret: Redacted.make("benchmark") }),
    EngineTranscriber.layer.pipe(Layer.provide(ConfiguredEngines.layer(config))),
    task.listens ? App.layer(config) : Layer.empty
  )
  return yield* Effect.provide(Effect.scoped(run), layers.pipe(Layer.provideMerge(App.logs(config.logLevel))))
})

// A profile is written by a process that ends by itself.
process.once("SIGTERM", () => process.exit(0))
await Effect.runPromise(service)
