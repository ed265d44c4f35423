/**
 * Every metric: name, unit, meaning. Counters of the packet path are plain numbers elsewhere; each call adds them up here once a second.
 */
import { Effect, Metric, type Scope } from "effect"
import type { EngineCapabilities } from "../services/SpeechEngine.ts"
import { monotonicMs } from "./Monotonic.ts"

const counter = (name: string, description: string) =>
  Metric.counter(`transcription_${name}`, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(`transcription_${name}`, { description })
/** Seconds. Fine between 20 ms and 200 ms, where captions live; coarse up to a cold container. */
const latency = (name: string, description: string) =>
  Metric.histogram(`transcription_${name}_seconds`, {
    description,
    boundaries: [0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 180]
  })

export const roomsActive = gauge("rooms_active", "Rooms joined or being joined")
export const speakersActive = gauge("speakers_active", "Voices with a connected peer")
export const viewersActive = gauge("viewers_active", "Viewers who asked for captions")
export const intentsUnstored = gauge(
  "intents_unstored",
  "Wishes for captions that a restart now would not know as they are"
)
export const engineSessionsActive = gauge("engine_sessions_active", "Open engine sessions")
export const frameQueueDepth = gauge("frame_queue_depth", "80 ms frames waiting for the Transcriber, over all voices")
export const ringBytes = gauge("ring_bytes", "Bytes held in the rings of heard speech")

export const packets = counter("packets_total", "RTP packets received")
export const packetsLost = counter("packets_lost_total", "RTP packets that never came")
/** Attribute `reason`: late, undecodable, overload, frame_queue_full, late_samples, ring_overwritten, speaker_limit, engine_socket_full, caption_backlog … */
export const drops = counter("drops_total", "Things dropped, by reason")
export const unknownMessages = counter(
  "unknown_messages_total",
  "Messages from the network that were not understood and ignored, by source"
)

export const signalingReconnects = counter(
  "signaling_reconnects_total",
  "Reconnections to the HPB, by kind (resume, rejoin)"
)
export const signalingRefusals = counter("signaling_refusals_total", "Hellos refused by the HPB, by code")
export const peersOpened = counter("peers_opened_total", "Peer connections opened")
export const offerRequests = counter("offer_requests_total", "requestoffer messages sent, by cause")

export const engineSessions = counter("engine_sessions_total", "Engine sessions opened")
export const engineReconnects = counter(
  "engine_reconnects_total",
  "Engine sessions opened to replace a lost one, by reason"
)
export const interruptions = counter(
  "interruptions_total",
  "Times that speech was given up before an engine could hear it; readers are told"
)
export const interruptedSeconds = counter("interrupted_seconds_total", "Seconds of speech that were given up")
export const speechSeconds = counter(
  "speech_seconds_total",
  "Seconds in which somebody was heard to speak, by source (talk, stream)"
)
export const engineCircuitOpenings = counter(
  "engine_circuit_openings_total",
  "Times an engine failed and was left alone for a while, by engine"
)
export const engineAudioSeconds = counter(
  "engine_audio_seconds_total",
  "Seconds of audio sent to engines, silence that an adapter puts in included, by engine"
)
/** What is charged for is `EngineCapabilities.billed`: seconds of audio, or seconds connected. */
export const engineBilledSeconds = counter(
  "engine_billed_seconds_total",
  "Seconds that the operators of the engines charge for, by engine"
)

export const streamSessionsActive = gauge("stream_sessions_active", "Streaming sessions of clients let in, by dialect")
export const streamSessions = counter("stream_sessions_total", "Streaming sessions of clients let in, by dialect")
export const streamAudioSeconds = counter(
  "stream_audio_seconds_total",
  "Seconds of audio heard from streaming clients, by dialect"
)
/** Attribute `reason`: Left, Done, Refused, or a `Denial` or `Failure` of `Dialect.ts`. */
export const streamCloses = counter("stream_closes_total", "Streaming connections that ended, by dialect and reason")

export const captions = counter("captions_total", "Captions sent, by kind (partial, final)")
export const captionsResent = counter("captions_resent_total", "Finals sent again because they were not confirmed")

export const transcriptsStored = counter("transcripts_stored_total", "Transcripts stored, by place (disk, s3)")
export const transcriptsFailed = counter(
  "transcript_failures_total",
  "Attempts to store a transcript that failed, by place"
)
export const transcriptsWaiting = gauge(
  "transcripts_waiting",
  "Transcripts that are kept on this machine until they can be stored, by place"
)

export const packetToEngine = latency(
  "packet_to_engine",
  "Arrival of the last packet of a frame until the frame is sent to the engine"
)
export const tokenToHpb = latency(
  "token_to_hpb",
  "Arrival of an engine's token until the first message carrying it is sent to the HPB, turn-taking and pacing included"
)
export const captionPacing = latency(
  "caption_pacing",
  "Part of token_to_hpb: a token waited because its caption was sent less than 200 ms ago"
)
export const captionTurnWait = latency(
  "caption_turn_wait",
  "Part of token_to_hpb: a token waited for the turn of its speaker in cross-talk"
)
export const firstCaption = latency(
  "first_caption",
  "Start of a stretch of speech until its first words are handed to the sink, the engine's time included"
)

export const engineLag = latency("engine_lag", "Audio that waits in an engine's own queue, where it says so")

/** What the use of an engine is counted by. */
type Engine = Pick<EngineCapabilities, "name" | "sampleRate" | "billed" | "billedAtLeastMs">

/** How often a session that is billed by its time is counted on. */
const BILLED_EVERY = "10 seconds"

/** Counts an engine session that was opened, and that it is open, and billed, until the scope closes. */
export const engineSession = Effect.fnUntraced(function* (engine: Engine): Effect.fn.Return<void, never, Scope.Scope> {
  yield* Metric.update(engineSessions, 1)
  yield* Effect.acquireRelease(Metric.modify(engineSessionsActive, 1), () => Metric.modify(engineSessionsActive, -1))
  if (engine.billed !== "Connection") return
  const now = yield* monotonicMs
  const count = yield* countsOf(engineBilledSeconds, { engine: engine.name })
  let countedMs = now()
  const countOn = Effect.sync(() => {
    const atMs = now()
    count((atMs - countedMs) / 1000)
    countedMs = atMs
  })
  yield* Effect.addFinalizer(() => countOn)
  yield* Effect.sleep(BILLED_EVERY).pipe(Effect.andThen(countOn), Effect.forever, Effect.forkScoped)
})

/** Counts samples that an engine was sent, and those that are billed, for code that is called synchronously. */
export const engineAudio = Effect.fnUntraced(function* ({
  billed,
  billedAtLeastMs = 0,
  name,
  sampleRate
}: Engine): Effect.fn.Return<(samples: number) => void, never, Scope.Scope> {
  const sent = yield* countsOf(engineAudioSeconds, { engine: name })
  if (billed !== "Audio") return (samples) => sent(samples / sampleRate)
  const bill = yield* countsOf(engineBilledSeconds, { engine: name })
  let total = 0
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (total > 0) bill(Math.max(0, billedAtLeastMs / 1000 - total))
    })
  )
  return (samples) => {
    const seconds = samples / sampleRate
    total += seconds
    sent(seconds)
    bill(seconds)
  }
})

/** One series of a counter, for what is counted often: `Metric.withAttributes` works out which one it is with every update anew. */
export const series = (metric: Metric.Counter<number>, attributes: Record<string, string>): Metric.Counter<number> =>
  Metric.counter(metric.id, { description: metric.description, attributes, incremental: true })

/** A counter with fixed attributes for code that is called synchronously. */
export const countsOf = (
  metric: Metric.Counter<number>,
  attributes: Record<string, string>
): Effect.Effect<(amount?: number) => void> =>
  Effect.contextWith((context) => {
    const counted = series(metric, attributes)
    return Effect.succeed((amount = 1) => counted.updateUnsafe(amount, context))
  })
