/**
 * One voice from RTP packets to 80 ms frames of speech: decoder → gate → ring and frames → a bounded queue. Plain and synchronous: it starts
 * no fiber and no timer; the call that owns it hands it packets and, every 20 ms, the time.
 */
import { type Cause, Effect, Queue, type Scope, Stream } from "effect"
import { type AudioFrame, msOfSamples, samplesOfMs } from "../domain/Audio.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { AudioOrigin, Decoder, DecoderCounters } from "../services/Decoder.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as Gate from "./Gate.ts"
import * as PreRoll from "./PreRoll.ts"
import * as SpeechFrames from "./SpeechFrames.ts"
import * as SpeechMemory from "./SpeechMemory.ts"

export interface VoiceOptions {
  readonly id: string
  readonly language: () => LanguageId
  readonly decoder: Decoder["Service"]
  /** The monotonic clock in ms; only read when the voice ends. */
  readonly now: () => number
  /** Frames that wait for the reader, default 64 (5 s). */
  readonly queueCapacity?: number
  /** Memory for what was heard of speech, default 800,000 bytes: 180 s at 32 kbit/s. */
  readonly ringBytes?: number
  /** Sound before speech was noticed, default 300 ms: a soft onset ("f", "h") is that early before it is loud. */
  readonly preRollMs?: number
}

/** Numbers since the voice began, except `ringBytes`. */
export interface VoiceCounters extends Readonly<DecoderCounters> {
  /** Frames handed to the queue, and those of them that were dropped because nobody took them. */
  readonly frames: number
  readonly droppedFrames: number
  /** Samples that came after the frame they belong to was padded and sent: a stall of the network in the middle of speech. */
  readonly cutSamples: number
  /** Bytes in the ring now. */
  readonly ringBytes: number
  /** Packets of speech that are no longer there for a replay. */
  readonly ringOverwritten: number
}

export interface HeardVoice {
  readonly voice: Voice
  /** Takes a packet that arrived at `atMs`; its payload may be reused afterwards. */
  readonly onPacket: (packet: RtpPacket, atMs: number) => void
  /** About every 20 ms: gives up on lost packets, and ends speech when packets have stopped. */
  readonly tick: (atMs: number) => void
  /** As they are now. */
  readonly counters: VoiceCounters
  /** Frames that wait for the reader now. */
  readonly queued: () => number
  /** Whether speech is being heard now. */
  readonly isSpeaking: () => boolean
  /** The voice is over: its last frame is padded and marked, then `frames` end. Also done when the scope closes. */
  readonly end: () => void
}

/** A packet so late means that none are sent (`replaceTrack(null)`, DTX): 120 ms after the last one of 20 ms. */
const STOPPED_MS = 100
/** Ticks come every 20 ms: so late means that this process did not run (garbage collection, a busy machine). */
const STALLED_MS = 60
/** More than anything waits for a gap. */
const PATIENCE_MS = 1000

/**
 * Makes a voice. Frames come within one packet of being full; a stretch of speech begins 300 ms before it was noticed and ends at the
 * end of the frame in which the hang-over ran out (that frame is marked), or padded when packets stop. When the reader is too slow the
 * oldest frames are dropped and counted; `replay` still has them.
 */
export const make = Effect.fnUntraced(function* (
  options: VoiceOptions
): Effect.fn.Return<HeardVoice, never, Scope.Scope> {
  // Capacity 64 frames, sliding: the newest speech is worth more than what is already late. Drops are counted in `push`.
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(options.queueCapacity ?? 64)
  const heard = hearing(options, queue)
  yield* Effect.addFinalizer(() => Effect.sync(heard.end))
  return heard
})

const hearing = (options: VoiceOptions, queue: Queue.Queue<AudioFrame, Cause.Done>): HeardVoice => {
  const memory = SpeechMemory.make(options.ringBytes ?? 800_000, options.decoder.makeCodec)
  const preRoll = PreRoll.make(samplesOfMs(options.preRollMs ?? 300))
  const gate = Gate.make()
  let frameCount = 0
  let droppedFrames = 0
  let cutSamples = 0
  /** End of what was heard so far, and when more of it is due. */
  let heardUntil = 0
  let dueAtMs = 0
  let tickedAtMs: number | undefined
  let ended = false

  const push = (frame: AudioFrame) => {
    frameCount++
    if (Queue.isFullUnsafe(queue)) droppedFrames++
    Queue.offerUnsafe(queue, frame)
    const end = frame.position + frame.pcm.length
    if (frame.endsSpeech) memory.end(Math.min(heardUntil, end), end)
  }
  const frames = SpeechFrames.make(push, () => !gate.isOpen())

  /** Speech was noticed; it began with the oldest sample still kept, and `position` is the next one. */
  const begin = (position: number, atMs: number) => {
    const start = position - preRoll.length()
    const arrival = (sample: number) => atMs - msOfSamples(heardUntil - sample)
    frames.begin(start)
    memory.begin(start, arrival(start))
    preRoll.drain((pcm) => {
      for (let at = 0; at < pcm.length; at += STEP) {
        const piece = pcm.subarray(at, at + STEP)
        frames.write(piece, 0, arrival(frames.position() + piece.length))
      }
    })
  }

  const endStretch = () => {
    gate.close()
    frames.end()
  }

  /** Nothing was sent, or arrived, for so many samples. */
  const skip = (missing: number, atMs: number) => {
    if (missing >= SpeechFrames.LONGEST_GAP) endStretch()
    else gate.skip(missing)
    const from = heardUntil
    heardUntil += missing
    frames.skip(missing, atMs)
    preRoll.skip(missing - said(from, missing))
  }
  /** How many of `length` samples at `position` lie in frames already. */
  const said = (position: number, length: number) => Math.min(length, Math.max(0, frames.position() - position))

  const hear = (position: number, pcm: Float32Array, { atMs, audioLevel, packet }: AudioOrigin) => {
    if (position > heardUntil) skip(position - heardUntil, atMs)
    gate.hear(pcm, audioLevel)
    heardUntil = position + pcm.length
    dueAtMs = atMs + msOfSamples(pcm.length)
    const cut = said(position, pcm.length)
    cutSamples += cut
    if (!frames.isRunning() && gate.isOpen() && cut < pcm.length) begin(position + cut, atMs)
    memory.hear(position, packet)
    preRoll.write(pcm, frames.write(pcm, cut, atMs))
  }
  const decoder = options.decoder.make(hear)

  const tick = (atMs: number) => {
    const slept = atMs - (tickedAtMs ?? atMs)
    tickedAtMs = atMs
    if (slept > STALLED_MS) {
      // Timers run before sockets are read: what was sent while this process did not run is about to come.
      dueAtMs += slept
      return
    }
    decoder.tick(atMs)
    if (frames.isRunning() && atMs - dueAtMs >= STOPPED_MS) endStretch()
  }

  return {
    voice: {
      id: options.id,
      frames: Stream.fromQueue(queue),
      replay: memory.replay,
      language: options.language
    },
    onPacket: (packet, atMs) => {
      if (!ended) decoder.decode(packet, atMs)
    },
    tick: (atMs) => {
      if (!ended) tick(atMs)
    },
    get counters() {
      const { bytes, overwritten } = memory.counters
      return {
        ...decoder.counters,
        frames: frameCount,
        droppedFrames,
        cutSamples,
        ringBytes: bytes,
        ringOverwritten: overwritten
      }
    },
    queued: () => Queue.sizeUnsafe(queue),
    isSpeaking: frames.isRunning,
    end: () => {
      if (ended) return
      ended = true
      decoder.tick(options.now() + PATIENCE_MS)
      endStretch()
      decoder.close()
      Queue.endUnsafe(queue)
    }
  }
}

/** 20 ms: how exactly the arrival of what was kept is told. */
const STEP = samplesOfMs(20)
