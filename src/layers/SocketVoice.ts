/**
 * The voice of a client that sends its audio over a socket: bytes of any format → reader → `Hearing`, and a memory of what was heard. Plain
 * and synchronous: it starts no fiber and no timer; the session that owns it hands it bytes and, every 20 ms, the time.
 *
 * The clock is the client's audio: position 0 is its first sample, and it stands while nothing is sent. How the bytes are cut into messages
 * changes nothing in what is heard.
 */
import { type Cause, Effect, Queue, type Scope, Stream } from "effect"
import { type AudioFrame, msOfSamples, samplesOfMs } from "../domain/Audio.ts"
import type { AudioFormat } from "../domain/AudioFormat.ts"
import type { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { AudioOrigin, Decoder } from "../services/Decoder.ts"
import type { Resampler } from "../services/Resampler.ts"
import type { Voice } from "../services/Transcriber.ts"
import type { AudioListener, AudioReader } from "./AudioReader.ts"
import * as DetectedReader from "./DetectedReader.ts"
import * as Hearing from "./Hearing.ts"
import * as Lull from "./Lull.ts"
import * as PcmMemory from "./PcmMemory.ts"
import * as PcmReader from "./PcmReader.ts"

export interface SocketVoiceOptions {
  readonly id: string
  readonly language: () => LanguageId
  readonly engine?: () => string | undefined
  readonly privacy?: Privacy
  /** For Opus in containers. */
  readonly decoder: Decoder["Service"]
  readonly resampler: Resampler["Service"]
  readonly format: AudioFormat
  /** Speech was noticed, or ended; ms of the client's audio, the 300 ms before it was noticed included. Called from `hear`, `tick` and `endSpeech`. */
  readonly onSpeech?: (event: SpeechBorder) => void
  /** Frames that wait for the reader, default 64 (5 s). */
  readonly queueFrames?: number
  /** Memory for what was heard of speech, default 60 s of PCM16 at 24 kHz. */
  readonly ringBytes?: number
}

export interface SpeechBorder {
  readonly _tag: "SpeechStarted" | "SpeechStopped"
  readonly atMs: number
}

/** Numbers since the voice began, except `ringBytes`. */
export interface SocketVoiceCounters extends Hearing.HearingCounters, PcmMemory.PcmMemoryCounters {
  readonly bytes: number
  /** `AudioTrouble`s that were told. */
  readonly troubles: number
}

export interface SocketVoice {
  readonly voice: Voice
  /** For audio that follows; the audio clock goes on. The same format again changes nothing. */
  readonly setFormat: (format: AudioFormat) => void
  /**
   * Takes the client's next bytes, which arrived at `atMs` and may be reused afterwards; gives what is wrong with them, the gravest if it
   * is several things. A message may be handed over in pieces, and a large one should be, with a look at `queued` in between: a kilobyte of
   * Opus can be packed so that it takes 25 ms to decode (40 s of packets of 120 ms that say nothing, measured on 21 Nov 2026), and all who
   * share the process wait meanwhile.
   */
  readonly hear: (bytes: Uint8Array, atMs: number) => AudioTrouble | undefined
  /**
   * What was heard so far is an utterance: ends it now, padded; sound that follows has its place right behind it and is lost in no case.
   * Gives the position (samples at 24 kHz) of the end of the last frame there ever was, 0 when there was none: all is said when `Settled`
   * reaches it.
   */
  readonly endSpeech: (atMs: number) => number
  /** About every 20 ms: ends speech when no audio came for 2 s, or 1 s longer than the last piece of it lasts. A stall of this process is none. */
  readonly tick: (atMs: number) => void
  /** All of the client's audio so far (3 ms may still be in a filter), with what it left out by its own timestamps. */
  readonly heardMs: () => number
  /** Frames that wait for the reader now. */
  readonly queued: () => number
  /** Whether speech is being heard now. */
  readonly isSpeaking: () => boolean
  /** The voice is over: its last frame is padded and marked, then `frames` end. Also done when the scope closes. */
  readonly end: (atMs: number) => void
  /** As they are now. */
  readonly counters: SocketVoiceCounters
}

/** Clients that hold a conversation send every 20 ms to 1 s. */
const STOPPED_MS = 2000
/** Some send pieces of several seconds, each when it is complete: the next one is due when the last one is over, and may be so late. */
const LATE_MS = 1000
const LONGEST_PIECE_MS = 5000
/** 20 ms: hearing is given equal pieces, so that it judges the same whatever the messages are. */
const BLOCK = samplesOfMs(20)
const RING_BYTES = 2 * samplesOfMs(60_000)

/**
 * Makes a voice. A stretch of speech begins up to 300 ms before it was noticed and ends as in Talk, after 360 ms of silence at the end of a
 * frame, or padded. Nothing is dropped while the session holds its socket up as soon as `queued` is above a mark well below `queueFrames`;
 * if it does not, the oldest frames are dropped and counted, and `replay` still has them for a while.
 */
export const make = Effect.fnUntraced(function* (
  options: SocketVoiceOptions
): Effect.fn.Return<SocketVoice, never, Scope.Scope> {
  // Capacity 64 frames, sliding; whoever reads `queued` never gets there.
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(options.queueFrames ?? 64)
  const heard = socketVoice(options, queue)
  yield* Effect.addFinalizer(() => Effect.sync(() => heard.end(0)))
  return heard
})

const socketVoice = (options: SocketVoiceOptions, queue: Queue.Queue<AudioFrame, Cause.Done>): SocketVoice => {
  const { onSpeech } = options
  const memory = PcmMemory.make(options.ringBytes ?? RING_BYTES)
  const hearing = Hearing.make({
    queue,
    onFrame: memory.keep,
    onSpeech: (isSpeaking, position) =>
      onSpeech?.({ _tag: isSpeaking ? "SpeechStarted" : "SpeechStopped", atMs: msOfSamples(position) })
  })
  const lull = Lull.make()
  const origin: { -readonly [K in keyof AudioOrigin]: AudioOrigin[K] } = {
    atMs: 0,
    audioLevel: undefined,
    packet: new Uint8Array(0)
  }
  const block = new Float32Array(BLOCK)
  let filled = 0
  /** Where the next sample belongs. */
  let position = 0
  let bytesHeard = 0
  let troubles = 0
  let trouble: AudioTrouble | undefined
  let ended = false

  const passBlock = () => {
    if (filled === 0) return
    hearing.hear(position - filled, filled === BLOCK ? block : block.subarray(0, filled), origin)
    filled = 0
  }
  const listener: AudioListener = {
    onSound: (pcm) => {
      for (let at = 0; at < pcm.length; ) {
        const count = Math.min(BLOCK - filled, pcm.length - at)
        block.set(pcm.subarray(at, at + count), filled)
        filled += count
        position += count
        at += count
        if (filled === BLOCK) passBlock()
      }
    },
    onSilence: (samples) => {
      passBlock()
      position += samples
    },
    onTrouble: (next) => {
      troubles++
      if (trouble === undefined || (trouble.goesOn && !next.goesOn)) trouble = next
    }
  }
  let format = options.format
  let reader = readerOf(format, options, listener)

  const endSpeech = (atMs: number) => {
    if (ended || !hearing.isSpeaking()) return
    origin.atMs = Math.max(origin.atMs, atMs)
    passBlock()
    hearing.endSpeech()
  }

  return {
    voice: {
      id: options.id,
      // One at a time: what the reader has not asked for still counts as queued.
      frames: Stream.fromPull(Effect.succeed(Effect.map(Queue.take(queue), (frame) => [frame] as const))),
      direct: hearing.direct,
      replay: memory.replay,
      language: options.language,
      ...(options.privacy === undefined ? {} : { privacy: options.privacy }),
      waits: true,
      utterances: true,
      ...(options.engine === undefined ? {} : { engine: options.engine })
    },
    setFormat: (next) => {
      if (ended || isSameFormat(next, format)) return
      reader.close()
      format = next
      reader = readerOf(format, options, listener)
    },
    hear: (bytes, atMs) => {
      if (ended) return undefined
      trouble = undefined
      bytesHeard += bytes.length
      origin.atMs = Math.max(origin.atMs, atMs)
      const before = position
      reader.read(bytes)
      const lastsMs = Math.min(msOfSamples(position - before), LONGEST_PIECE_MS)
      lull.expect(atMs + Math.max(0, lastsMs - (STOPPED_MS - LATE_MS)))
      return trouble
    },
    endSpeech: (atMs) => {
      endSpeech(atMs)
      return hearing.framedUntil()
    },
    tick: (atMs) => {
      if (ended || lull.hasStalled(atMs)) return
      // Who is not read may be held up, and sends nothing for that reason.
      if (hearing.queued() > 0) lull.expect(atMs)
      else if (lull.isOver(atMs, STOPPED_MS)) endSpeech(atMs)
    },
    heardMs: () => msOfSamples(position),
    queued: hearing.queued,
    isSpeaking: hearing.isSpeaking,
    end: (atMs) => {
      if (ended) return
      ended = true
      origin.atMs = Math.max(origin.atMs, atMs)
      reader.close()
      passBlock()
      hearing.end()
    },
    get counters() {
      return { ...hearing.counters(), ...memory.counters(), bytes: bytesHeard, troubles }
    }
  }
}

const readerOf = (
  format: AudioFormat,
  { decoder, resampler }: DetectedReader.ReaderParts,
  listener: AudioListener
): AudioReader =>
  format._tag === "Raw"
    ? PcmReader.make(format, resampler, listener)
    : DetectedReader.make(format.otherwise, { decoder, resampler }, listener)

const isSameFormat = (one: AudioFormat, other: AudioFormat): boolean => {
  if (one._tag !== other._tag) return false
  const [a, b] = [rawOf(one), rawOf(other)]
  return a.encoding === b.encoding && a.sampleRate === b.sampleRate && a.channels === b.channels
}

const rawOf = (format: AudioFormat) => (format._tag === "Raw" ? format : format.otherwise)
