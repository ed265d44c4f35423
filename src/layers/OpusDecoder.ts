/**
 * The Decoder on libopus: order (`ReorderWindow`), clock (`RtpTimeline`), concealment, and silence that need not be decoded.
 */
import { Effect, Layer } from "effect"
import {
  type AudioOrigin,
  type Codec,
  Decoder,
  type DecoderCounters,
  type OnAudio,
  type PacketDecoder
} from "../services/Decoder.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"
import * as Encryption from "./FrameEncryption.ts"
import * as OpusCodec from "./OpusCodec.ts"
import { frameTicksOf, MAX_TICKS, ticksOf } from "./OpusPacket.ts"
import * as ReorderWindow from "./ReorderWindow.ts"
import * as RtpTimeline from "./RtpTimeline.ts"

const decoderOf = ({ make, name }: OpusCodec.CodecLibrary) =>
  Decoder.of({ library: name, makeCodec: make, make: (onAudio) => makeDecoder(make(), onAudio) })

/** Native libopus; fails where it could not be built. */
export const layerNative = Layer.effect(Decoder, Effect.map(OpusCodec.native, decoderOf))

/** libopus as WebAssembly. */
export const layerWasm = Layer.effect(Decoder, Effect.map(OpusCodec.wasm, decoderOf))

/** The preferred library where it can be used, else WebAssembly; the log says so once. */
export const layerPreferring = (preferred: Effect.Effect<OpusCodec.CodecLibrary, OpusCodec.CodecMissing>) =>
  Layer.effect(
    Decoder,
    preferred.pipe(
      Effect.catch((missing) =>
        Effect.andThen(Effect.logInfo("Opus is decoded by WebAssembly", missing.message), OpusCodec.wasm)
      ),
      Effect.map(decoderOf)
    )
  )

/** Native libopus where it could be built, else WebAssembly. */
export const layer = layerPreferring(OpusCodec.native)

/** libopus fades concealment out within about 100 ms; later it has nothing to add to silence. */
const MAX_CONCEALED = 5
/** DTX sends packets of at most two bytes (RFC 6716 §2.1.9 and libopus): nothing was said around them. */
const DTX_BYTES = 2

/** Decodes one voice with `codec`. */
const makeDecoder = (codec: Codec, onAudio: OnAudio): PacketDecoder => {
  const counters: DecoderCounters = { packets: 0, lost: 0, reordered: 0, late: 0, concealedSamples: 0, undecodable: 0 }
  const timeline = RtpTimeline.make()
  const encryption = Encryption.make()
  const silence = makeSilence(codec)
  const origin: { -readonly [K in keyof AudioOrigin]: AudioOrigin[K] } = {
    atMs: 0,
    audioLevel: undefined,
    packet: new Uint8Array(0)
  }
  /** The codec's own way to conceal exactly one frame: a packet of nothing but the last TOC byte. */
  const concealment = new Uint8Array(1)
  let lastTicks = 0
  let lastWasDtx = true

  const conceal = (lost: number, from: number, until: number) => {
    const frameTicks = frameTicksOf(concealment[0] ?? 0)
    origin.packet = concealment
    origin.audioLevel = undefined
    let at = from
    const end = Math.min(until, from + lost * lastTicks)
    while (at + frameTicks <= end) {
      const pcm = codec.decode(concealment)
      if (pcm?.length !== frameTicks / 2) return
      counters.concealedSamples += pcm.length
      onAudio(Math.floor(at / 2), pcm, origin)
      at += frameTicks
    }
  }

  const hear = (packet: RtpPacket, atMs: number, lost: number) => {
    const { payload } = packet
    // Padding to probe the bandwidth has no payload.
    if (payload.length === 0) return
    const ticks = encryption.isEncrypted(payload) ? 0 : ticksOf(payload)
    if (ticks === 0) {
      counters.undecodable++
      return
    }
    origin.atMs = atMs
    const end = timeline.end()
    const start = timeline.place(packet.timestamp, packet.ssrc, atMs)
    if (lost > 0 && lost <= MAX_CONCEALED && !lastWasDtx && start > end) conceal(lost, end, start)
    const pcm = silence.decode(payload, packet.audioLevel, ticks)
    if (pcm === undefined) {
      counters.undecodable++
      return
    }
    timeline.extend(ticks)
    lastTicks = ticks
    lastWasDtx = payload.length <= DTX_BYTES
    concealment[0] = (payload[0] ?? 0) & 0xfc
    origin.packet = payload
    origin.audioLevel = silence.trusts() ? packet.audioLevel : undefined
    const from = Math.max(0, Math.floor(end / 2) - Math.floor(start / 2))
    if (from === 0) onAudio(Math.floor(start / 2), pcm, origin)
    else if (from < pcm.length) onAudio(Math.floor(end / 2), pcm.subarray(from), origin)
  }

  const window = ReorderWindow.make(hear, counters)
  return { decode: window.push, tick: window.tick, counters, close: codec.close }
}

/** RFC 6464: digital silence. */
const SILENT_LEVEL = 127
/** −50 dBFS: louder than what a codec makes of silence. */
const AUDIBLE = 0.003
/** Packets after which a codec that was fed silence is silent itself, and how often it is looked at whether they still are. */
const SETTLED = 5
const LOOK_EVERY = 25

/**
 * Saves decoding the packets of a muted microphone, which a sender keeps sending and labels as silent. A sender whose labels are wrong is
 * found out within half a second and no longer believed.
 */
const makeSilence = (codec: Codec) => {
  const zeros = new Float32Array(MAX_TICKS / 2)
  let shown = zeros
  let run = 0
  let trusted = true
  const decode = (payload: Uint8Array, level: number | undefined, ticks: number): Float32Array | undefined => {
    if (level !== SILENT_LEVEL || !trusted) {
      run = 0
      return codec.decode(payload)
    }
    run++
    if (run > SETTLED && run % LOOK_EVERY !== 0) {
      if (shown.length !== ticks / 2) shown = zeros.subarray(0, ticks / 2)
      return shown
    }
    const pcm = codec.decode(payload)
    if (pcm !== undefined && run >= SETTLED && pcm.some((sample) => Math.abs(sample) > AUDIBLE)) trusted = false
    return pcm
  }
  return { decode, trusts: () => trusted }
}
