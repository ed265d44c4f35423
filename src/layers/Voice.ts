/**
 * One voice from RTP packets to 80 ms frames of speech: decoder → `Hearing`, and a ring of what was heard. Plain and synchronous: it starts
 * no fiber and no timer; the call that owns it hands it packets and, every 20 ms while it needs it, the time.
 */
import { type Cause, Effect, Queue, type Scope, Stream } from "effect"
import { type AudioFrame, msOfSamples } from "../domain/Audio.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Decoder, DecoderCounters } from "../services/Decoder.ts"
import type { MayWait, RtpPacket, Silence } from "../services/PeerConnection.ts"
import type { HeardSpeech } from "../services/SpeechJournal.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as Hearing from "./Hearing.ts"
import * as Lull from "./Lull.ts"
import * as Passage from "./Passage.ts"
import * as SpeechMemory from "./SpeechMemory.ts"

export interface VoiceOptions {
  readonly id: string
  readonly language: () => LanguageId
  readonly privacy?: Privacy
  readonly decoder: Decoder["Service"]
  /** The monotonic clock in ms; only read when the voice ends. */
  readonly now: () => number
  /** Frames that wait for the reader, default 64 (5 s). */
  readonly queueCapacity?: number
  /** Memory for what was heard of speech, default `RING_BYTES`. */
  readonly ringBytes?: number
  /** Is told of all speech that is heard. */
  readonly listener?: HeardSpeech
  /** Sound before speech was noticed, default 300 ms: a soft onset ("f", "h") is that early before it is loud. */
  readonly preRollMs?: number
}

/** Numbers since the voice began, except `ringBytes`. */
export interface VoiceCounters extends Readonly<DecoderCounters>, Hearing.HearingCounters {
  /** Bytes in the ring now. */
  readonly ringBytes: number
  /** Packets of speech that are no longer there for a replay. */
  readonly ringOverwritten: number
}

export interface HeardVoice {
  readonly voice: Voice
  /** Tells a listener what is kept of the speech from `position` (samples) on. */
  readonly tell: SpeechMemory.SpeechMemory["tell"]
  /** Tells the newest packets that were heard. */
  readonly newest: (hear: HeardSpeech["hear"]) => void
  /** Takes a packet that arrived at `atMs`; its payload may be reused afterwards. */
  readonly onPacket: (packet: RtpPacket, atMs: number) => void
  /** Which packets may be passed over, so that `onPacket` need not have them, or not at once. */
  readonly silence: Silence
  /** Ticks come again from this moment on. */
  readonly attend: (atMs: number) => void
  /** About every 20 ms, at least while `isListening`: gives up on lost packets, and ends speech when packets have stopped. */
  readonly tick: (atMs: number) => void
  /** Whether time alone may change something: somebody speaks, or packets wait for one that is missing or are being decoded. Begins with a packet. */
  readonly isListening: () => boolean
  /** As they are now. */
  readonly counters: VoiceCounters
  /** Frames that wait for the reader now. */
  readonly queued: () => number
  /** Whether speech is being heard now. */
  readonly isSpeaking: () => boolean
  /** The voice is over: its last frame is padded and marked, then `frames` end. Also done when the scope closes. */
  readonly end: () => void
}

/** 180 s at 32 kbit/s. */
export const RING_BYTES = 800_000
/** A packet so late means that none are sent (`replaceTrack(null)`, DTX): 420 ms after the last one of 20 ms. */
const STOPPED_MS = 400
/**
 * The same where the last sound was of somebody in the middle of a word. A busy sender, a full buffer and a change of radio cell stand still for
 * that long, and then all comes that was held up; but an engine that was flushed meanwhile has heard half a word, and then the other half.
 */
const HELD_UP_MS = 1_000
/** Stops within a word are shorter: whoever was quiet for longer had said it, or something else behind it. */
const WITHIN_WORD_MS = 160
/** More than anything waits for a gap. */
const PATIENCE_MS = 1000
/** Packets by which another hearing of the voice is told where this one stands: half a second. */
const NEWEST = 25

/**
 * Makes a voice. Frames come within one packet of being full; a stretch of speech begins 300 ms before it was noticed and ends at the
 * end of the frame in which the hang-over ran out (that frame is marked), or padded when packets stop. When the reader is too slow the
 * oldest frames are dropped and counted; `replay` still has them.
 */
export const make = Effect.fnUntraced(function* (
  options: VoiceOptions
): Effect.fn.Return<HeardVoice, never, Scope.Scope> {
  // Capacity 64 frames, sliding: the newest speech is worth more than what is already late. Drops are counted by the hearing.
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(options.queueCapacity ?? 64)
  const heard = heardVoice(options, queue)
  yield* Effect.addFinalizer(() => Effect.sync(heard.end))
  return heard
})

/** Packets of any level and size. */
const anyPacket: MayWait = {
  packets: 0,
  untilMs: 0,
  fromLevel: 0,
  toLevel: 127,
  fromDigital: 0,
  levelledBytes: Number.MAX_SAFE_INTEGER,
  tinyBytes: Number.MAX_SAFE_INTEGER,
  sizedBytes: 0,
  sizedUntilMs: 0
}

const heardVoice = (options: VoiceOptions, queue: Queue.Queue<AudioFrame, Cause.Done>): HeardVoice => {
  const memory = SpeechMemory.make(options.ringBytes ?? RING_BYTES, options.decoder.makeCodec, options.listener)
  const hearing = Hearing.make({
    queue,
    memory,
    ...(options.preRollMs === undefined ? {} : { preRollMs: options.preRollMs })
  })
  const lull = Lull.make()
  const decoder = options.decoder.make((position, pcm, origin) => {
    hearing.hear(position, pcm, origin)
    passage.heard(origin.packet, origin.audioLevel, pcm)
    lull.expect(origin.atMs + msOfSamples(pcm.length))
  })
  const isListening = () => hearing.isSpeaking() || decoder.isWaiting()
  const hasStopped = (atMs: number) =>
    lull.isOver(atMs, msOfSamples(hearing.quiet()) < WITHIN_WORD_MS ? HELD_UP_MS : STOPPED_MS)
  const passage = Passage.make({
    isListening,
    isSilentAt: hearing.isSilentAt,
    silentLevels: hearing.silentLevels,
    isSilent: decoder.isSilent,
    onPassedOver: decoder.passOver
  })
  let ended = false
  /** When the newest packet came: an object, because a number that closures share is boxed at every change. */
  const newest = { atMs: 0 }
  const unfinished: { -readonly [K in keyof MayWait]: MayWait[K] } = { ...anyPacket }

  /** Packets that do not complete the frame which the next one begins or goes on: who is given them together has less to do. */
  const withinFrame = (): MayWait | undefined => {
    const next = decoder.next()
    if (next === undefined || !hearing.isSpeaking()) return undefined
    unfinished.packets = Math.ceil(hearing.lacking(next.position) / next.length) - 1
    // and one that comes a packet late
    unfinished.untilMs = newest.atMs + (unfinished.packets + 2) * msOfSamples(next.length)
    return unfinished
  }

  return {
    voice: {
      id: options.id,
      frames: Stream.fromQueue(queue),
      direct: hearing.direct,
      replay: memory.replay,
      language: options.language,
      marks: options.listener !== undefined,
      ...(options.privacy === undefined ? {} : { privacy: options.privacy })
    },
    tell: (position, listener) => {
      decoder.settle()
      memory.tell(position, listener)
    },
    newest: (hear) => {
      decoder.settle()
      memory.newest(NEWEST, hear)
    },
    onPacket: (packet, atMs) => {
      if (ended) return
      newest.atMs = atMs
      decoder.decode(packet, atMs)
    },
    silence: {
      passage: (audioLevel, payloadBytes, atMs) => (ended ? "open" : passage.passage(audioLevel, payloadBytes, atMs)),
      isSilent: (packet) => ended || passage.isSilent(packet),
      mayWait: () => (ended ? undefined : (passage.mayWait() ?? withinFrame()))
    },
    attend: lull.attend,
    tick: (atMs) => {
      if (ended || lull.hasStalled(atMs)) return
      decoder.tick(atMs)
      if (hearing.isSpeaking() && !decoder.isDecoding() && hasStopped(atMs)) hearing.endSpeech()
    },
    get counters() {
      const { bytes, overwritten } = memory.counters
      return { ...decoder.counters, ...hearing.counters(), ringBytes: bytes, ringOverwritten: overwritten }
    },
    isListening: () => !ended && isListening(),
    queued: hearing.queued,
    isSpeaking: hearing.isSpeaking,
    end: () => {
      if (ended) return
      ended = true
      decoder.tick(options.now() + PATIENCE_MS)
      decoder.settle()
      hearing.end()
      decoder.close()
    }
  }
}
