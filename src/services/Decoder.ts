/**
 * Decoder: Opus packets of one voice become audio on an exact clock.
 */
import { Context } from "effect"
import type { RtpPacket } from "./PeerConnection.ts"

/** Plain numbers, read when somebody asks. */
export interface DecoderCounters {
  packets: number
  /** Never came; concealed or silent. */
  lost: number
  reordered: number
  /** Came after its place was played, or twice. */
  late: number
  concealedSamples: number
  /** Not decodable as Opus (for example end-to-end encrypted). */
  undecodable: number
}

export interface PacketDecoder {
  /** Takes a packet that arrived at `atMs` (monotonic). An in-order packet is decoded at once; one behind a gap waits at most 40 ms. */
  readonly decode: (packet: RtpPacket, atMs: number) => void
  /** Gives up on gaps that are older than 40 ms. Called about every 20 ms; it is the only clock. */
  readonly tick: (atMs: number) => void
  readonly counters: Readonly<DecoderCounters>
  readonly close: () => void
}

/**
 * Makes decoders: 24 kHz mono float32 whatever the sender uses (10–60 ms packets, code 0–3, mono or stereo).
 *
 * `onAudio` is called synchronously with samples and their position: position = RTP time since the first packet, exact across DTX,
 * loss, SSRC change and wrap-around; positions never decrease and never overlap. Short losses are concealed; longer gaps are left out
 * (the next position jumps). `pcm` is valid only during the call.
 */
export class Decoder extends Context.Service<
  Decoder,
  {
    readonly make: (
      onAudio: (
        position: number,
        pcm: Float32Array,
        info: { readonly atMs: number; readonly audioLevel?: number }
      ) => void
    ) => PacketDecoder
    /** Which library decodes, for the log and the status page. */
    readonly library: string
  }
>()("parlance/services/Decoder") {}
