/**
 * Hearing: decoded audio of one voice becomes frames of speech: gate → pre-roll → 80 ms frames → whoever takes them on the spot, or a bounded
 * queue. Plain and synchronous; where the audio comes from, and what it is remembered as, is its owner's.
 */
import { type Cause, Queue } from "effect"
import { type AudioFrame, msOfSamples, samplesOfMs } from "../domain/Audio.ts"
import type { AudioOrigin } from "../services/Decoder.ts"
import type { TakeFrame, Voice } from "../services/Transcriber.ts"
import * as Gate from "./Gate.ts"
import * as PreRoll from "./PreRoll.ts"
import * as SpeechFrames from "./SpeechFrames.ts"
import type { SpeechMemory } from "./SpeechMemory.ts"

export interface HearingOptions {
  /** Frames that nobody takes on the spot are offered to it; what it does when it is full is its own. */
  readonly queue: Queue.Queue<AudioFrame, Cause.Done>
  /** Sound before speech was noticed, default 300 ms: a soft onset ("f", "h") is that early before it is loud. */
  readonly preRollMs?: number
  /** Is told of every packet, and where speech begins and ends. */
  readonly memory?: Pick<SpeechMemory, "hear" | "begin" | "end">
  /** Is given every frame before anybody else is. */
  readonly onFrame?: (frame: AudioFrame) => void
  /** Speech began with the sample at `position`, or what was heard of it ended there. */
  readonly onSpeech?: (isSpeaking: boolean, position: number) => void
}

/** Numbers since the voice began. */
export interface HearingCounters {
  /** Frames handed on, and those of them that were dropped because nobody took them. */
  readonly frames: number
  readonly droppedFrames: number
  /** Samples that came after their place was taken by what had been heard. */
  readonly cutSamples: number
  /** Samples in which somebody spoke: frames without what comes before, within and behind speech by our choice. */
  readonly spokenSamples: number
}

export interface Hearing {
  readonly direct: NonNullable<Voice["direct"]>
  /** Takes the next sound; what lies between it and the last one is missing. `pcm` may be reused afterwards. */
  readonly hear: (position: number, pcm: Float32Array, origin: AudioOrigin) => void
  /** No sound comes for now: the frame in progress is padded and marked. Nothing while nobody speaks. */
  readonly endSpeech: () => void
  /** The voice is over: `endSpeech`, then the queue ends. */
  readonly end: () => void
  readonly isSpeaking: () => boolean
  /** Samples since the last that were loud; what was missing counts too. */
  readonly quiet: () => number
  /** Samples from `position` on, which is not before the last sound, until a frame is full; 0 while nobody speaks. */
  readonly lacking: (position: number) => number
  /** Whether sound of that level (RFC 6464) need not be heard now: nobody speaks, and nobody would be noticed. */
  readonly isSilentAt: (level: number) => boolean
  /** Levels of which that is certain whatever else comes of them. */
  readonly silentLevels: () => Gate.SilentLevels | undefined
  /** End of the last frame (samples); 0 before the first. */
  readonly framedUntil: () => number
  /** Frames that wait for the reader now. */
  readonly queued: () => number
  readonly counters: () => HearingCounters
}

/**
 * Makes the hearing of one voice.
 *
 * What follows a stretch of speech at once may begin within its last frame: in the zeros of it, when sound that was missing comes late; or, where
 * the hang-over ran out, with sound that was sent already, for a soft onset may lie in it: an engine is flushed between the two, and a word that
 * is torn by that is no word on either side.
 */
export const make = (options: HearingOptions): Hearing => {
  const { memory, onFrame, onSpeech, queue } = options
  const preRoll = PreRoll.make(samplesOfMs(options.preRollMs ?? 300))
  const gate = Gate.make()
  let frameCount = 0
  let droppedFrames = 0
  let cutSamples = 0
  let heardUntil = 0
  let framedUntil = 0
  /** Sound before this is in frames. */
  let saidUntil = 0
  /** The stretch ends without the silence at its end. */
  let isCutShort = false
  let take: TakeFrame | undefined
  /** Where the newest frame begins that went into the queue. */
  let queuedAt = Number.NEGATIVE_INFINITY

  const handOn = (frame: AudioFrame): boolean => {
    const taken = take?.(frame, queuedAt) ?? "Left"
    if (taken !== "Left") return taken === "Used"
    if (Queue.isFullUnsafe(queue)) droppedFrames++
    Queue.offerUnsafe(queue, frame)
    queuedAt = frame.position
    return false
  }

  const push = (cut: AudioFrame) => {
    frameCount++
    framedUntil = cut.position + cut.pcm.length
    const silence = Math.max(0, framedUntil - heardUntil + gate.quiet())
    const frame = cut.endsSpeech ? { ...cut, silence } : cut
    onFrame?.(frame)
    const isUsed = handOn(frame)
    if (!frame.endsSpeech) return isUsed
    const heard = Math.min(heardUntil, framedUntil)
    // positions of frames grow
    saidUntil = Math.max(heard, frame.position + 1)
    if (!isCutShort) preRoll.write(frame.pcm, 1)
    memory?.end(heard, framedUntil, silence)
    onSpeech?.(false, heard)
    return isUsed
  }
  const frames = SpeechFrames.make(push, () => !gate.isOpen())

  /** Speech was noticed; it began with the oldest sample still kept, and `position` is the next one. */
  const begin = (position: number, atMs: number) => {
    const start = position - preRoll.length()
    const arrival = (sample: number) => atMs - msOfSamples(heardUntil - sample)
    frames.begin(start)
    memory?.begin(start, arrival(start))
    onSpeech?.(true, Math.max(start, saidUntil))
    preRoll.drain((pcm) => {
      for (let at = 0; at < pcm.length; at += STEP) {
        const piece = pcm.subarray(at, at + STEP)
        frames.write(piece, 0, arrival(frames.position() + piece.length))
      }
    })
  }

  const endStretch = () => {
    gate.close()
    isCutShort = true
    frames.end()
    isCutShort = false
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
  const said = (position: number, length: number) =>
    Math.min(length, Math.max(0, (frames.isRunning() ? frames.position() : saidUntil) - position))

  return {
    direct: (next) => {
      take = next
    },
    hear: (position, pcm, { atMs, audioLevel, packet }) => {
      if (position > heardUntil) skip(position - heardUntil, atMs)
      gate.hear(pcm, audioLevel)
      heardUntil = position + pcm.length
      const cut = said(position, pcm.length)
      cutSamples += cut
      if (!frames.isRunning() && gate.isOpen() && cut < pcm.length) begin(position + cut, atMs)
      memory?.hear(position, packet)
      preRoll.write(pcm, frames.write(pcm, cut, atMs))
    },
    endSpeech: () => {
      if (frames.isRunning()) endStretch()
    },
    end: () => {
      endStretch()
      Queue.endUnsafe(queue)
    },
    isSpeaking: frames.isRunning,
    quiet: gate.quiet,
    lacking: frames.lacking,
    isSilentAt: (level) => !frames.isRunning() && gate.isSilentAt(level),
    silentLevels: () => (frames.isRunning() ? undefined : gate.silentLevels()),
    framedUntil: () => framedUntil,
    queued: () => Queue.sizeUnsafe(queue),
    counters: () => ({ frames: frameCount, droppedFrames, cutSamples, spokenSamples: gate.spoken() })
  }
}

/** 20 ms: how exactly the arrival of what was kept is told. */
const STEP = samplesOfMs(20)
