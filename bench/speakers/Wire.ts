/**
 * What the processes of the benchmark of speakers tell each other. Times are ms since 1970, fractional.
 */
import { Schema } from "effect"

/** To the service's process, as its argument. */
export const ServiceTask = Schema.Struct({
  /** Which way RTP takes: past Node's sockets and werift, past werift, or through it. */
  path: Schema.Literals(["fast", "single", "plain"]),
  /** Also listens as the whole service does, on the port of its configuration. */
  listens: Schema.Boolean
})
export type ServiceTask = typeof ServiceTask.Type

/** To a process of publishers, as its argument. */
export const Task = Schema.Struct({
  /** Number of the first of them, how many they are, and of how many in all. */
  first: Schema.Int,
  speakers: Schema.Int,
  of: Schema.Int,
  /** How long they can go on. */
  seconds: Schema.Finite,
  speaking: Schema.Finite,
  /** How many connect at a time; absent: as many as the service sets up at a time. */
  atOnce: Schema.optional(Schema.Int),
  silence: Schema.Literals(["muted", "room"]),
  /** Whether packets carry RFC 6464's audio level. */
  levels: Schema.Boolean
})
export type Task = typeof Task.Type

/** Publishers → service. */
export const Offer = Schema.TaggedStruct("Offer", { speaker: Schema.Int, sdp: Schema.String })
export type Offer = typeof Offer.Type
/** Service → publishers. */
export const Answer = Schema.TaggedStruct("Answer", { speaker: Schema.Int, sdp: Schema.String })

/** Another way to whoever answered, said behind the answer. */
export const Candidate = Schema.TaggedStruct("Candidate", { speaker: Schema.Int, candidate: Schema.String })

/** The publishers are there. */
export const PublishersReady = Schema.TaggedStruct("PublishersReady", {})
/** What the publishers are told to do, in this order: connect, speak, stop. Each is answered by what stands below it. */
export const Join = Schema.TaggedStruct("Join", {})
export const Joined = Schema.TaggedStruct("Joined", {
  /** Offer sent → DTLS connected, of each. */
  setUpMs: Schema.Array(Schema.Finite),
  srtp: Schema.String
})
export const Speak = Schema.TaggedStruct("Speak", {})
export const Speaking = Schema.TaggedStruct("Speaking", {})
export const Stop = Schema.TaggedStruct("Stop", {})
/** Packets went out one per speaker in turn; after each look at the clock so many of all had gone. */
export const Sent = Schema.TaggedStruct("Sent", {
  atMs: Schema.instanceOf(Float64Array),
  untilPacket: Schema.instanceOf(Float64Array),
  lateP99Ms: Schema.Finite
})
export type Sent = typeof Sent.Type
export const Instruction = Schema.Union([Join, Speak, Stop, Answer, Candidate])

/** The sink is there. */
export const SinkReady = Schema.TaggedStruct("SinkReady", { url: Schema.String })
/** One session with the sink: when each frame came, and how loud each 20 ms of it were (four bytes a frame). */
export const HeardSession = Schema.Struct({
  atMs: Schema.instanceOf(Float64Array),
  loudness: Schema.instanceOf(Uint8Array)
})
export type HeardSession = typeof HeardSession.Type
/** Asked for by anything. */
export const SinkLog = Schema.TaggedStruct("SinkLog", { sessions: Schema.Array(HeardSession) })

/** The service is there. */
export const ServiceReady = Schema.TaggedStruct("ServiceReady", {})
/** To the service: how is it now? `settle` collects garbage before it looks. */
export const Look = Schema.TaggedStruct("Look", { settle: Schema.Boolean })
/** Numbers since the service began, except where it says otherwise. */
export const Standing = Schema.TaggedStruct("Standing", {
  atMs: Schema.Finite,
  /** `process.cpuUsage`: all threads. */
  userMs: Schema.Finite,
  systemMs: Schema.Finite,
  /** Now. */
  rssMb: Schema.Finite,
  heapMb: Schema.Finite,
  externalMb: Schema.Finite,
  ringMb: Schema.Finite,
  engineSessions: Schema.Finite,
  /** Since the last look: how much later than asked a timer of 10 ms fired. */
  eventLoopP50Ms: Schema.Finite,
  eventLoopP99Ms: Schema.Finite,
  eventLoopMaxMs: Schema.Finite,
  connected: Schema.Int,
  /** RTP packets that came out of the peers; and of each speaker that was offered here. */
  received: Schema.Int,
  receivedOf: Schema.Array(Schema.Struct({ speaker: Schema.Int, packets: Schema.Int })),
  /** By reason, as `transcription_drops_total`; and `lost`, packets that a voice gave up waiting for. */
  drops: Schema.Record(Schema.String, Schema.Finite)
})
export type Standing = typeof Standing.Type
export const Request = Schema.Union([Offer, Look])
