/**
 * Which packets of a voice need not be opened: those in which nobody speaks, while nobody speaks.
 *
 * It is told by the sender's own level, or, where there is none, by the size of what a muted microphone sends. Nobody's word is taken for it: some
 * are opened and decoded all the same, and with the first that is no silence the word of this sender is worth nothing any more.
 */
import type { MayWait, Passage, RtpPacket, Silence } from "../services/PeerConnection.ts"
import type { SilentLevels } from "./Gate.ts"

export interface PassageOptions {
  /** Somebody speaks, or something that was sent before is missing or is still being decoded. */
  readonly isListening: () => boolean
  /** Whether sound of that level (RFC 6464) would be noticed by nobody. */
  readonly isSilentAt: (level: number) => boolean
  /** Levels of which that is certain whatever else comes of them. */
  readonly silentLevels: () => SilentLevels | undefined
  /** Whether a packet that is passed over is silent indeed. */
  readonly isSilent: (packet: RtpPacket) => boolean
  /** A packet is passed over. */
  readonly onPassedOver: () => void
}

export interface VoicePassage extends Required<Silence> {
  /** A packet was opened and decoded. */
  readonly heard: (packet: Uint8Array, audioLevel: number | undefined, pcm: Float32Array) => void
}

/** How long, in ms and in packets, nobody looks. What is kept meanwhile is longer. */
const LOOK_MS = 500
const LOOK_PACKETS = 25
/** A size says less than a level: with a constant bit rate, silence is as large as speech. */
const LOOK_AT_SIZE_MS = 100
/** What is larger than any silence before is looked at, but not in the last echo of a sound. */
const SETTLED_MS = 60
/** Packets of silence in a row after which their size is known: 0.5 s. */
const KNOWN = 25
/** DTX sends packets of at most two bytes: there is no room for speech. */
const DTX_BYTES = 2
/** −50 dBFS: louder than what a codec makes of digital silence. */
const AUDIBLE = 0.003

/** Makes the passage of one voice. */
export const make = (options: PassageOptions): VoicePassage => {
  let isTrusted = true
  let largest = DTX_BYTES
  /** Silent packets in a row, as far as they had no level. */
  let silent = 0
  /** An object, because a number that closures share is boxed at every change. */
  const seen = { atMs: Number.NEGATIVE_INFINITY }
  let unseen = 0
  /** The last packet was. */
  let wasPassedOver = false
  const silence: { -readonly [K in keyof MayWait]: MayWait[K] } = {
    packets: 0,
    untilMs: 0,
    fromLevel: 0,
    toLevel: 0,
    fromDigital: 0,
    levelledBytes: 0,
    tinyBytes: DTX_BYTES,
    sizedBytes: 0,
    sizedUntilMs: 0
  }

  const isSilence = (audioLevel: number | undefined, bytes: number): boolean => {
    if (audioLevel !== undefined) return options.isSilentAt(audioLevel)
    return bytes <= DTX_BYTES || (silent >= KNOWN && bytes <= largest)
  }
  const isDue = (audioLevel: number | undefined, bytes: number, sinceMs: number): boolean => {
    if (sinceMs >= LOOK_MS || unseen >= LOOK_PACKETS) return true
    if (audioLevel === undefined) return bytes > DTX_BYTES && sinceMs >= LOOK_AT_SIZE_MS
    return bytes > largest && sinceMs >= SETTLED_MS
  }

  return {
    passage: (audioLevel, bytes, atMs): Passage => {
      wasPassedOver = isTrusted && !options.isListening() && isSilence(audioLevel, bytes)
      if (!wasPassedOver) {
        seen.atMs = atMs
        unseen = 0
        return "open"
      }
      options.onPassedOver()
      // Until one is found authentic.
      if (isDue(audioLevel, bytes, atMs - seen.atMs)) return "look"
      unseen++
      return "shut"
    },
    isSilent: (packet) => {
      seen.atMs = packet.atMs ?? seen.atMs
      unseen = 0
      isTrusted = options.isSilent(packet)
      if (isTrusted) largest = Math.max(largest, packet.payload.length)
      return isTrusted
    },
    mayWait: () => {
      const levels = wasPassedOver && isTrusted && !options.isListening() ? options.silentLevels() : undefined
      if (levels === undefined) return undefined
      // Up to the next look, and not to what may have to be looked at.
      silence.packets = LOOK_PACKETS - unseen
      silence.untilMs = seen.atMs + LOOK_MS
      silence.fromLevel = levels.fromLevel
      silence.toLevel = levels.toLevel
      silence.fromDigital = levels.fromDigital
      silence.levelledBytes = largest
      silence.sizedBytes = silent >= KNOWN ? largest : DTX_BYTES
      silence.sizedUntilMs = seen.atMs + LOOK_AT_SIZE_MS
      return silence
    },
    heard: (packet, audioLevel, pcm) => {
      if (!isTrusted || audioLevel !== undefined || options.isListening()) return
      for (const sample of pcm) {
        if (sample <= AUDIBLE && sample >= -AUDIBLE) continue
        silent = 0
        largest = DTX_BYTES
        return
      }
      silent++
      largest = Math.max(largest, packet.length)
    }
  }
}
