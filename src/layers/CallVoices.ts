/**
 * The voices of one call: each is heard, transcribed and published until its speaker leaves or nobody reads any more.
 */
import { Effect, FiberMap, Latch, Metric, Schedule, type Scope, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Transcribed } from "../domain/Segment.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { Decoder } from "../services/Decoder.ts"
import type { PacketListener } from "../services/PeerConnection.ts"
import type { CallJournal, LeftVoice, UnsaidText } from "../services/SpeechJournal.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber } from "../services/Transcriber.ts"
import * as CallSpeech from "./CallSpeech.ts"
import * as EarlierVoice from "./EarlierVoice.ts"
import * as EngineAdvice from "./EngineAdvice.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Shedding from "./Shedding.ts"
import * as Voice from "./Voice.ts"

export interface CallVoicesOptions extends CallSpeech.CallSpeechOptions {
  /** Read when a voice begins, for all of its life; see `CallPrivacy`. */
  readonly privacy: () => Privacy
  readonly journal: CallJournal
}

export interface CallVoices {
  /** What a process that was killed had heard and not said: said first. To be called before anybody is heard. */
  readonly takeUp: Effect.Effect<void>
  /** A publisher is to be heard: by whom. */
  readonly start: (key: VoiceKey) => PacketListener
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
/** So often at most it is said that audio is left out. */
const warnEveryMs = 60_000
/** Packets that no decoder understands, in a row, before we say so: 2 s. */
const undecodableLimit = 100

export const make = Effect.fnUntraced(function* (
  options: CallVoicesOptions
): Effect.fn.Return<CallVoices, never, Decoder | Transcriber | Scope.Scope> {
  const decoder = yield* Decoder
  const transcriber = yield* Transcriber
  const now = yield* monotonicMs
  const stopping = yield* Stopping
  const isSaturated = yield* Shedding.Saturated
  const fibers = yield* FiberMap.make<string, void, never>()
  const fork = yield* FiberMap.runtime(fibers)()
  const heard = new Map<string, HeardVoice>()
  /** The newest voice that an earlier process heard of each publisher, until all of it is said. */
  const retelling = new Map<string, Latch.Latch>()
  const ticking = yield* Latch.make(false)
  let generation = 0
  let warnedMs = Number.NEGATIVE_INFINITY

  const nextId = (key: VoiceKey) => `${voiceId(key)}:${generation++}`

  /** What it said before it was heard anew comes first. */
  const toldBefore = (key: VoiceKey) => retelling.get(voiceId(key))?.await ?? Effect.void

  const hear = Effect.fnUntraced(function* (key: VoiceKey, id: string, { shed }: Shedding.Shedding) {
    const journal = options.journal.voice(id, key, (position, listener) => voice.tell(position, listener))
    const voice: Voice.HeardVoice = yield* Voice.make({
      id,
      language: options.language,
      privacy: options.privacy(),
      decoder,
      now,
      listener: journal
    })
    const one: HeardVoice = {
      key,
      voice,
      shed,
      reported: reportOf(voice, 0),
      wasSpeaking: false,
      unansweredSinceMs: undefined
    }
    heard.set(id, one)
    ticking.openUnsafe()
    const speech = CallSpeech.make(options, { key, id, now, journal })
    const earlier = toldBefore(key)
    const take = Effect.fnUntraced(function* (said: ReadonlyArray<Transcribed>) {
      yield* earlier
      speech.take(said)
      if (said.some(({ _tag }) => _tag === "Segment")) yield* answered(one, now())
    })
    yield* transcriber
      .transcribe(voice.voice)
      .pipe(
        Stream.runForEachArray(take),
        Effect.ensuring(Effect.suspend(() => forget(id))),
        Effect.ensuring(Effect.sync(journal.forget))
      )
  }, Effect.scoped)

  /** What is behind the mark is heard once more, under the id of what was said before it. */
  const retell = (left: LeftVoice, id: string, unsaid: UnsaidText | undefined) => {
    const { key } = left
    const journal = options.journal.voice(id, key, (position, listener) => earlier.tell(position, listener))
    const earlier = EarlierVoice.make({
      id,
      left,
      ahead: unsaid?.ahead ?? "",
      segments: unsaid?.texts.length ?? 0,
      language: options.language,
      privacy: options.privacy(),
      decoder,
      now,
      listener: journal
    })
    journal.mark(earlier.begun)
    const speech = CallSpeech.make(options, { key, id, now, journal })
    const before = toldBefore(key)
    const done = Latch.makeUnsafe(false)
    retelling.set(voiceId(key), done)
    const over = () => {
      journal.forget()
      done.openUnsafe()
    }
    const take = (said: ReadonlyArray<Transcribed>) =>
      Effect.andThen(before, () => Effect.sync(() => speech.take(said)))
    const retold = Stream.runForEachArray(transcriber.transcribe(earlier.voice), take)
    fork(id, Effect.ensuring(retold, Effect.sync(over)))
  }

  const takeUp = Effect.suspend(() => {
    const { unsaid, voices } = options.journal.take()
    const spoken = voices.filter(({ hasSpeech }) => hasSpeech).map((left) => ({ left, id: nextId(left.key) }))
    for (const { speaker, texts, voice } of unsaid) {
      const id = spoken.find(({ left }) => left.id === voice)?.id ?? `${voice}:${generation++}`
      for (const [ordinal, text] of texts.entries()) {
        const segment = { id: `${id}:${ordinal}`, revision: 1, committed: text, open: "", tokenAtMs: now() }
        CallSpeech.publish(options, { speaker, segment: { ...segment, final: "EngineLost" } })
      }
    }
    for (const { id, left } of spoken) {
      const own = unsaid.find(({ voice }) => voice === left.id)
      retell(left, id, own)
    }
    if (spoken.length === 0 && unsaid.length === 0) return Effect.void
    return Effect.logInfo("what was heard before the service was killed is said now", {
      voices: spoken.length,
      captions: unsaid.reduce((sum, { texts }) => sum + texts.length, 0)
    })
  })

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
  const warn = Effect.suspend(() => {
    const isShedding = [...heard.values()].some(({ reported, shed }) => shed() > reported.shed)
    if (!isShedding || now() - warnedMs < warnEveryMs) return Effect.void
    warnedMs = now()
    return Effect.logWarning("more is spoken than this process can decode: the oldest of it is left out", {
      room: options.room
    })
  })
  const accountAll = Effect.suspend(() => Effect.forEach(heard.values(), (one) => account(one), { discard: true }))
  yield* Effect.andThen(warn, accountAll).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)

  const endAll = Effect.sync(() => {
    for (const { voice } of heard.values()) voice.end()
  })
  return {
    takeUp,
    start: (key) => {
      const id = nextId(key)
      const shedding = Shedding.make(isSaturated)
      fork(id, hear(key, id, shedding))
      let known: Voice.HeardVoice | undefined
      // Looked up once: this is asked fifty times a second for every voice, and one that is over hears nothing.
      const voice = () => {
        known ??= heard.get(id)?.voice
        return known
      }
      return {
        onPacket: (packet) => {
          const atMs = packet.atMs ?? now()
          if (shedding.takes(packet, atMs)) voice()?.onPacket(packet, atMs)
        },
        silence: {
          passage: (audioLevel, payloadBytes, atMs) =>
            voice()?.silence.passage(audioLevel, payloadBytes, atMs) ?? "open",
          isSilent: (packet) => voice()?.silence.isSilent(packet) ?? true
        }
      }
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
  readonly shed: () => number
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

type Report = Voice.VoiceCounters & { readonly queued: number; readonly shed: number }

const reportOf = (voice: Voice.HeardVoice, shed: number): Report => ({
  ...voice.counters,
  queued: voice.queued(),
  shed
})
const nothingHeld = { queued: 0, ringBytes: 0 }

const isUndecodable = (counters: Voice.VoiceCounters): boolean =>
  counters.undecodable >= undecodableLimit && counters.undecodable > counters.packets / 2

/** Adds to the metrics what a voice counted since the last time; what a voice that is over held is given back. */
const account = Effect.fnUntraced(function* (one: HeardVoice, isOver = false) {
  const { reported } = one
  const now = reportOf(one.voice, one.shed())
  const report = isOver ? { ...now, ...nothingHeld } : now
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
  ["overload", "shed"],
  ["late_samples", "cutSamples"],
  ["ring_overwritten", "ringOverwritten"]
] as const
