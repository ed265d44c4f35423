/**
 * The microphone of a simulated speaker: gives one Opus packet per 20 ms, of what is to be said or of silence. Plain and synchronous.
 */
import { PACKET_MS, PACKET_SAMPLES, type SpeechEncoder } from "./SpeechEncoder.ts"

/** Audio as mono float32 at 48 kHz, or as Opus packets of 20 ms. */
export type Speech = Float32Array | ReadonlyArray<Uint8Array>

export interface SimulatedMicrophone {
  /** Says this after everything that waits; `onStart` and `onEnd` get the moments of the first and last sample. */
  readonly say: (utterance: Utterance) => void
  /** The packet that is due; undefined while muted (as Talk does, which takes the track away). Speech waits meanwhile. */
  readonly next: (dueMs: number) => Uint8Array | undefined
  readonly setMuted: (muted: boolean) => void
  readonly isMuted: () => boolean
}

export interface Utterance {
  readonly speech: Speech
  /** Called with the packet that holds the first sound: its first sample is 20 ms older than the packet. */
  readonly onStart: (firstSampleMs: number) => void
  readonly onEnd: () => void
}

export const make = (encoder: SpeechEncoder): SimulatedMicrophone => {
  const waiting: Array<Utterance> = []
  const silence = new Float32Array(PACKET_SAMPLES)
  let packet = 0
  let isMuted = false

  const speak = (utterance: Utterance, dueMs: number): Uint8Array => {
    if (packet === 0) utterance.onStart(dueMs - PACKET_MS)
    const said = packetOf(utterance.speech, packet, encoder)
    packet++
    if (packet >= packetsIn(utterance.speech)) {
      packet = 0
      waiting.shift()
      utterance.onEnd()
    }
    return said
  }

  return {
    say: (utterance) => {
      if (packetsIn(utterance.speech) > 0) waiting.push(utterance)
      else utterance.onEnd()
    },
    next: (dueMs) => {
      if (isMuted) return undefined
      const utterance = waiting[0]
      return utterance === undefined ? encoder.encode(silence) : speak(utterance, dueMs)
    },
    setMuted: (muted) => {
      isMuted = muted
    },
    isMuted: () => isMuted
  }
}

const packetsIn = (speech: Speech): number =>
  speech instanceof Float32Array ? Math.ceil(speech.length / PACKET_SAMPLES) : speech.length

const packetOf = (speech: Speech, index: number, encoder: SpeechEncoder): Uint8Array =>
  speech instanceof Float32Array
    ? encoder.encode(speech.subarray(index * PACKET_SAMPLES, (index + 1) * PACKET_SAMPLES))
    : (speech[index] ?? new Uint8Array())
