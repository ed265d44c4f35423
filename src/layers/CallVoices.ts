/**
 * The voices of one call: each is heard, transcribed and published until its speaker leaves or nobody reads any more.
 */
import { Effect, FiberMap, Latch, Metric, Schedule, type Scope, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Gap } from "../domain/Caption.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import { type Roster, speakerOf } from "../domain/Roster.ts"
import { gapBehind, type Segment, type Transcribed } from "../domain/Segment.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { Decoder } from "../services/Decoder.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber } from "../services/Transcriber.ts"
import type { CallSink } from "../services/TranscriptSink.ts"
import * as EngineAdvice from "./EngineAdvice.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Voice from "./Voice.ts"

export interface CallVoicesOptions {
  readonly room: RoomToken
  readonly sink: CallSink
  readonly roster: () => Roster
  readonly language: () => LanguageId
  /** Read when a voice begins, for all of its life; see `CallPrivacy`. */
  readonly privacy: () => Privacy
}

export interface CallVoices {
  /** A publisher is to be heard; packets go to `onPacket`. */
  readonly start: (key: VoiceKey) => { readonly onPacket: (packet: RtpPacket) => void }
  /** The publisher is gone: its last words are still transcribed and published. */
  readonly end: (key: VoiceKey) => void
  /** Whether speech is being heard of this publisher now. */
  readonly isSpeaking: (key: VoiceKey) => boolean
  /** Nobody reads: every voice and its engine session ends at once. */
  readonly silence: Effect.Effect<void>
  /** Every voice ends and its last words are published; bounded by `lastWords`, and by what there is where the service stops. */
  readonly finish: Effect.Effect<void>
  /** Why a voice gives no text although it is heard, if that is so. */
  readonly advice: () => string | undefined
}

/** Gaps and the end of speech are noticed to within this. */
const tickEvery = "20 millis"
/** The Transcriber waits 10 s for an engine's last words; then what is open becomes final, and that is still published. */
const lastWords = "11 seconds"
/** Packets that no decoder understands, in a row, before we say so: 2 s. */
const undecodableLimit = 100

export const make = Effect.fnUntraced(function* (
  options: CallVoicesOptions
): Effect.fn.Return<CallVoices, never, Decoder | Transcriber | Scope.Scope> {
  const decoder = yield* Decoder
  const transcriber = yield* Transcriber
  const now = yield* monotonicMs
  const stopping = yield* Stopping
  const fibers = yield* FiberMap.make<string, void, never>()
  const fork = yield* FiberMap.runtime(fibers)()
  const heard = new Map<string, HeardVoice>()
  const ticking = yield* Latch.make(false)
  let generation = 0

  const hear = Effect.fnUntraced(function* (key: VoiceKey, id: string) {
    const voice = yield* Voice.make({ id, language: options.language, privacy: options.privacy(), decoder, now })
    const one: HeardVoice = { key, voice, reported: reportOf(voice), wasSpeaking: false, unansweredSinceMs: undefined }
    heard.set(id, one)
    ticking.openUnsafe()
    const speakerOfSegment = attribution(key, options.roster)
    const marks = gapMarks(id, now)
    const take = (said: Transcribed): Effect.Effect<void> => {
      if (said._tag === "Settled") return Effect.void
      if (said._tag === "Interrupted") {
        const gap = { atMs: msOfSamples(said.position), lengthMs: msOfSamples(said.samples) }
        const mark = marks.next()
        publish(options, { speaker: speakerOfSegment(mark), segment: mark, interrupted: gap })
        return Effect.void
      }
      marks.behind(said.segment)
      publish(options, { speaker: speakerOfSegment(said.segment), segment: said.segment })
      return answered(one, now())
    }
    yield* transcriber
      .transcribe(voice.voice)
      .pipe(Stream.runForEach(take), Effect.ensuring(Effect.suspend(() => forget(id))))
  }, Effect.scoped)

  const forget = (id: string) => {
    const one = heard.get(id)
    heard.delete(id)
    return one === undefined ? Effect.void : account(one, true)
  }

  const tick = Effect.sync(() => {
    const at = now()
    for (const one of heard.values()) {
      one.voice.tick(at)
      notice(one, at)
    }
    if (heard.size === 0) ticking.closeUnsafe()
  })
  yield* ticking.whenOpen(tick).pipe(Effect.repeat(Schedule.fixed(tickEvery)), Effect.forkScoped)
  yield* Effect.suspend(() => Effect.forEach(heard.values(), (one) => account(one), { discard: true })).pipe(
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.forkScoped
  )

  const endAll = Effect.sync(() => {
    for (const { voice } of heard.values()) voice.end()
  })
  return {
    start: (key) => {
      const id = `${voiceId(key)}:${generation++}`
      fork(id, hear(key, id))
      return { onPacket: (packet) => heard.get(id)?.voice.onPacket(packet, now()) }
    },
    end: (key) => {
      for (const one of heard.values()) if (voiceId(one.key) === voiceId(key)) one.voice.end()
    },
    isSpeaking: (key) => [...heard.values()].some((one) => voiceId(one.key) === voiceId(key) && one.voice.isSpeaking()),
    silence: FiberMap.clear(fibers),
    finish: endAll.pipe(
      Effect.andThen(Effect.raceFirst(FiberMap.awaitEmpty(fibers), stopping.until("Published"))),
      Effect.timeoutOption(lastWords),
      Effect.andThen(FiberMap.clear(fibers))
    ),
    advice: () =>
      [...heard.values()].some(({ voice: { counters } }) => isUndecodable(counters))
        ? "Audio arrives but cannot be decoded; the call may be end-to-end encrypted."
        : EngineAdvice.make(transcriber.trouble?.({ language: options.language, privacy: options.privacy() }))
  }
})

interface HeardVoice {
  readonly key: VoiceKey
  readonly voice: Voice.HeardVoice
  /** Counters as they were last added to the metrics. */
  reported: Report
  wasSpeaking: boolean
  /** When the speech began of which nothing has been read yet. */
  unansweredSinceMs: number | undefined
}

const notice = (one: HeardVoice, atMs: number) => {
  const isSpeaking = one.voice.isSpeaking()
  if (isSpeaking && !one.wasSpeaking) one.unansweredSinceMs = atMs
  one.wasSpeaking = isSpeaking
}

const answered = (one: HeardVoice, atMs: number): Effect.Effect<void> => {
  const since = one.unansweredSinceMs
  one.unansweredSinceMs = undefined
  return since === undefined ? Effect.void : Metric.update(Metrics.firstCaption, (atMs - since) / 1000)
}

type Report = Voice.VoiceCounters & { readonly queued: number }

const reportOf = (voice: Voice.HeardVoice): Report => ({ ...voice.counters, queued: voice.queued() })
const nothingHeld = { queued: 0, ringBytes: 0 }

/** Whoever is talking when a segment begins has said all of it: a phone caller's neighbour does not take it over. */
const attribution = (key: VoiceKey, roster: () => Roster) => {
  let current: { readonly segment: string; readonly speaker: SessionId } | undefined
  return (segment: Segment): SessionId => {
    if (current?.segment !== segment.id) {
      // Whoever has just left is no longer in the roster, their last words are still theirs.
      const speaker = speakerOf(roster(), key.publisher)?.session ?? current?.speaker ?? key.publisher
      current = { segment: segment.id, speaker }
    }
    return current.speaker
  }
}

/** Segments that say where words are missing in a voice, between those that say words. */
const gapMarks = (voice: string, now: () => number) => {
  let newest: string | undefined
  let ordinal = 0
  return {
    behind: ({ id }: Segment) => {
      if (id !== newest) ordinal = 0
      newest = id
    },
    next: () => gapBehind(newest, { atMs: now(), ordinal: ++ordinal, voice })
  }
}

interface Said {
  readonly speaker: SessionId
  readonly segment: Segment
  readonly interrupted?: Gap
}

const publish = (options: CallVoicesOptions, said: Said) => {
  const name = options.roster().participants.get(said.speaker)?.name
  options.sink.publish({
    room: options.room,
    ...(name === undefined ? {} : { speakerName: name }),
    language: options.language(),
    ...said
  })
}

const isUndecodable = (counters: Voice.VoiceCounters): boolean =>
  counters.undecodable >= undecodableLimit && counters.undecodable > counters.packets / 2

/** Adds to the metrics what a voice counted since the last time; what a voice that is over held is given back. */
const account = Effect.fnUntraced(function* (one: HeardVoice, isOver = false) {
  const { reported } = one
  const report = isOver ? { ...reportOf(one.voice), ...nothingHeld } : reportOf(one.voice)
  one.reported = report
  yield* Metric.update(Metrics.packets, report.packets - reported.packets)
  yield* Metric.update(Metrics.packetsLost, report.lost - reported.lost)
  yield* Metric.update(
    Metric.withAttributes(Metrics.speechSeconds, { source: "talk" }),
    msOfSamples(report.spokenSamples - reported.spokenSamples) / 1000
  )
  yield* Metric.modify(Metrics.frameQueueDepth, report.queued - reported.queued)
  yield* Metric.modify(Metrics.ringBytes, report.ringBytes - reported.ringBytes)
  for (const [reason, name] of droppedByReason) {
    const dropped = report[name] - reported[name]
    if (dropped > 0) yield* Metric.update(Metric.withAttributes(Metrics.drops, { reason }), dropped)
  }
})

const droppedByReason = [
  ["late", "late"],
  ["undecodable", "undecodable"],
  ["frame_queue_full", "droppedFrames"],
  ["late_samples", "cutSamples"],
  ["ring_overwritten", "ringOverwritten"]
] as const
