/**
 * Decoder: Opus packets of one voice become audio on an exact clock.
 */
import { Context } from "effect"
import type { RtpPacket } from "./PeerConnection.ts"

/** Plain numbers, read when somebody asks. */
export interface DecoderCounters {
  /** That came, passed over or not. */
  packets: number
  /** Never came in time; concealed or silent. */
  lost: number
  /** Came out of order, but in time. */
  reordered: number
  /** Came after its place was played, or twice. */
  late: number
  concealedSamples: number
  /** Not decodable as Opus (for example end-to-end encrypted). */
  undecodable: number
}

/** Where a piece of decoded audio came from. The object is reused: valid only during the call it is given to. */
export interface AudioOrigin {
  /** When its packet arrived: milliseconds of the monotonic clock. */
  readonly atMs: number
  /** RFC 6464 level in −dBov, where the packet carried one that agrees with what is heard. */
  readonly audioLevel: number | undefined
  /** The bytes that give this audio when a `Codec` decodes them after their predecessors; one byte where a loss was concealed. */
  readonly packet: Uint8Array
}

/** Takes decoded audio: `pcm` is valid only during the call. */
export type OnAudio = (position: number, pcm: Float32Array, origin: AudioOrigin) => void

/** In samples. */
export interface NextSound {
  readonly position: number
  readonly length: number
}

export interface PacketDecoder {
  /**
   * Takes a packet that arrived at `atMs` (monotonic). One behind a gap waits at most 40 ms. An in-order packet is decoded at once; where many speak, together with
   * others some milliseconds later.
   */
  readonly decode: (packet: RtpPacket, atMs: number) => void
  /** Gives up on gaps that are older than 40 ms. Called about every 20 ms; it is the only clock. */
  readonly tick: (atMs: number) => void
  /** A packet is passed over (see `Silence`): it counts as one that came, and what is missing before the next one was not lost. */
  readonly passOver: () => void
  /** Packets wait behind a gap (whatever comes now may be what is missing), or are being decoded. */
  readonly isWaiting: () => boolean
  /** What the next packet is, if it is like the last one and comes in order; `undefined` before the first and while one is missing. Valid until it is asked again. */
  readonly next: () => NextSound | undefined
  /** Packets are being decoded. */
  readonly isDecoding: () => boolean
  /** Gives all that is being decoded before it returns. */
  readonly settle: () => void
  /**
   * Whether a packet that is passed over is as silent as its level says or, without one, as a muted microphone. Decoded out of its turn: no audio is
   * given, no clock moves. After the first that is not, no level of this voice is believed.
   */
  readonly isSilent: (packet: RtpPacket) => boolean
  readonly counters: Readonly<DecoderCounters>
  readonly close: () => void
}

/** Opus alone: no order, no clock, no concealment of its own. */
export interface Codec {
  /** 24 kHz mono of one packet, valid until the next call; `undefined` when it is not Opus. Never throws. */
  readonly decode: (packet: Uint8Array) => Float32Array | undefined
  readonly close: () => void
}

/**
 * Makes decoders: 24 kHz mono float32 whatever the sender uses (2.5–120 ms packets, code 0–3, mono or stereo).
 *
 * `onAudio` is called, within `decode`, `tick` or `settle` or between them, with samples and their position: position = RTP time since the first packet, exact across DTX,
 * loss, SSRC change and wrap-around; positions never decrease and never overlap. Short losses are concealed; longer gaps are left out
 * (the next position jumps). Nothing a sender can put into a packet throws.
 */
export class Decoder extends Context.Service<
  Decoder,
  {
    readonly make: (onAudio: OnAudio) => PacketDecoder
    /** A fresh codec, for audio that is decoded again; its first 100 ms differ from what was heard. */
    readonly makeCodec: () => Codec
    /** Which library decodes, for the log and the status page. */
    readonly library: string
  }
>()("parlance/services/Decoder") {}
