/**
 * Opus packets of a recording become sound on the recording's clock (RFC 7845, the Matroska codec mapping of Opus).
 */
import { RTP_CLOCK_RATE, SAMPLE_RATE } from "../domain/Audio.ts"
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Codec } from "../services/Decoder.ts"
import type { AudioListener } from "./AudioReader.ts"
import { ticksOf } from "./OpusPacket.ts"

/** What a recording says about its Opus (RFC 7845 §5.1). Ticks are of 48 kHz. */
export interface OpusHead {
  readonly preSkipTicks: number
  /** Factor for every sample. */
  readonly gain: number
}

/** What the container says about a packet besides its order; ticks of the recording's clock. */
export interface PacketPlace {
  /** Where it begins: what lies between it and the last packet becomes silence. */
  readonly tick?: number | undefined
  /** So much at its end is padding. */
  readonly padding?: number
  /** The recording ends there; what the packet has behind it is padding. */
  readonly endTick?: number
}

export interface OpusTrack {
  /** Takes the next packet; it may be reused afterwards. */
  readonly play: (packet: Uint8Array, place: PacketPlace) => void
  readonly close: () => void
}

const TICKS = RTP_CLOCK_RATE / SAMPLE_RATE
/** Longer than anybody's microphone is muted by leaving packets out: the sender's clock was set, and nothing is missing. */
const LONGEST_GAP = 600 * RTP_CLOCK_RATE

/**
 * Reads an identification header; a trouble where it is none, or of more than two channels. `name` is the container's, for the sentence.
 */
export const parseHead = (bytes: Uint8Array, name: string): OpusHead | AudioTrouble => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 19 || !isHead(bytes) || view.getUint8(8) > 15) {
    return new AudioTrouble({
      reason: "Undecodable",
      detail: `The Opus header of the ${name} recording is damaged.`,
      goesOn: false
    })
  }
  const channels = view.getUint8(9)
  // Of the families of more than two channels only those are understood that say one or two.
  if (channels < 1 || channels > 2 || view.getUint8(18) > 1) {
    return new AudioTrouble({
      reason: "Unsupported",
      detail: `Opus with ${channels} channels is not supported: mono and stereo are.`,
      goesOn: false
    })
  }
  return { preSkipTicks: view.getUint16(10, true), gain: 10 ** (view.getInt16(16, true) / 256 / 20) }
}

/** "OpusHead". */
export const isHead = (bytes: Uint8Array): boolean => startsWith(bytes, "OpusHead")

export const startsWith = (bytes: Uint8Array, text: string): boolean => {
  if (bytes.length < text.length) return false
  for (let n = 0; n < text.length; n++) if (bytes[n] !== text.charCodeAt(n)) return false
  return true
}

/**
 * Makes a track. The decoder's own delay at the beginning (pre-skip) is left out. A packet that is no Opus is told and becomes silence of its
 * length, where it has one. `jitter(ticks)` says by how much the time of a packet of that length may be late without meaning anything.
 */
export const make = (
  head: OpusHead,
  codec: Codec,
  jitter: (ticks: number) => number,
  listener: AudioListener
): OpusTrack => {
  let skip = Math.floor(head.preSkipTicks / TICKS)
  let scaled = new Float32Array(0)
  /** Ticks played so far, and where 0 of them lies on the recording's clock. */
  let played = 0
  let origin: number | undefined
  let lastTick = 0
  let lastTicks = 0

  /** Silence where packets were left out. Slow drift of one clock against the other is no gap: it has no step. */
  const place = (tick: number) => {
    origin ??= tick - played
    const missing = tick - origin - played
    const step = tick - lastTick - lastTicks
    const limit = jitter(lastTicks)
    lastTick = tick
    if (missing < limit || step < limit / 2) return
    if (missing > LONGEST_GAP) origin += missing
    else {
      const samples = Math.round(missing / TICKS)
      played += samples * TICKS
      listener.onSilence(samples)
    }
  }

  const amplify = (pcm: Float32Array): Float32Array => {
    if (scaled.length < pcm.length) scaled = new Float32Array(pcm.length)
    for (let n = 0; n < pcm.length; n++) scaled[n] = Math.max(-1, Math.min(1, (pcm[n] ?? 0) * head.gain))
    return scaled.subarray(0, pcm.length)
  }

  return {
    play: (packet, { endTick, padding = 0, tick }) => {
      const ticks = ticksOf(packet)
      if (tick !== undefined) place(tick)
      else lastTick += lastTicks
      lastTicks = ticks
      const pcm = ticks === 0 ? undefined : codec.decode(packet)
      played += ticks
      const unheard = endTick === undefined ? padding : (origin ?? 0) + played - endTick
      if (pcm === undefined) {
        if (ticks > 0) listener.onSilence(ticks / TICKS)
        listener.onTrouble(undecodable)
        return
      }
      const from = Math.min(skip, pcm.length)
      skip -= from
      const until = Math.max(from, pcm.length - Math.max(0, Math.floor(unheard / TICKS)))
      if (from < until) {
        const heard = from === 0 && until === pcm.length ? pcm : pcm.subarray(from, until)
        listener.onSound(head.gain === 1 ? heard : amplify(heard))
      }
    },
    close: codec.close
  }
}

const undecodable = new AudioTrouble({
  reason: "Undecodable",
  detail: "A packet of the recording is not Opus; it was heard as silence.",
  goesOn: true
})
