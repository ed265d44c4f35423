/**
 * The Decoder on libopus: order (`ReorderWindow`), clock (`RtpTimeline`), concealment, and silence that need not be decoded. Where much is
 * decoded and the library can do it beside JavaScript, it does (`DecodingThread`).
 */
import { Effect, Layer, Result, type Scope } from "effect"
import {
  type AudioOrigin,
  type Codec,
  Decoder,
  type DecoderCounters,
  type NextSound,
  type OnAudio,
  type PacketDecoder
} from "../services/Decoder.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"
import * as DecodingThread from "./DecodingThread.ts"
import * as Encryption from "./FrameEncryption.ts"
import * as KnownSilence from "./KnownSilence.ts"
import * as OpusCodec from "./OpusCodec.ts"
import { frameTicksOf, MAX_TICKS, ticksOf } from "./OpusPacket.ts"
import * as ReorderWindow from "./ReorderWindow.ts"
import * as RtpTimeline from "./RtpTimeline.ts"
import * as SoundPieces from "./SoundPieces.ts"

// What is heard live is used before the next packet is decoded.
const decoderOf = ({ make, makeSharing, name, thread }: OpusCodec.CodecLibrary) =>
  Decoder.of({ library: name, makeCodec: make, make: (onAudio) => makeDecoder(makeSharing(), onAudio, thread) })

/** libopus in our own addon; fails where it could not be built. `isBeside`: whether a packet that came then (ms) is decoded beside JavaScript; left out: none is. */
export const layerAddonWith = (isBeside?: (atMs: number) => boolean) =>
  Layer.effect(Decoder, Effect.map(OpusCodec.addonWith(isBeside), decoderOf))

export const layerAddon = layerAddonWith()

/** libopus in an addon of others; fails where it could not be built. */
export const layerNative = Layer.effect(Decoder, Effect.map(OpusCodec.native, decoderOf))

/** libopus as WebAssembly. */
export const layerWasm = Layer.effect(Decoder, Effect.map(OpusCodec.wasm, decoderOf))

/** The first of these libraries that can be used, else WebAssembly; the log says once which it is and why it is not another. */
export const layerPreferring = (
  ...preferred: ReadonlyArray<Effect.Effect<OpusCodec.CodecLibrary, OpusCodec.CodecMissing, Scope.Scope>>
) =>
  Layer.effect(
    Decoder,
    Effect.gen(function* () {
      const missing: Array<string> = []
      for (const library of preferred) {
        const found = yield* Effect.result(library)
        if (Result.isSuccess(found)) return yield* chosen(found.success, missing)
        missing.push(found.failure.message)
      }
      return yield* chosen(yield* OpusCodec.wasm, missing)
    })
  )

const chosen = (library: OpusCodec.CodecLibrary, missing: ReadonlyArray<string>) =>
  Effect.as(Effect.logInfo(`Opus is decoded by ${library.name}`, ...missing), decoderOf(library))

/** Native libopus where it could be built, our own before another, else WebAssembly. All is decoded where it comes. */
export const layer = layerPreferring(OpusCodec.addon, OpusCodec.native)

/** The same for hundreds of voices in one process: while JavaScript's thread is full, our own addon decodes beside it, and sound comes some milliseconds later. */
export const layerForMany = layerPreferring(
  Effect.suspend(() => OpusCodec.addonWith(DecodingThread.whenFull())),
  OpusCodec.native
)

/** libopus fades concealment out within about 100 ms; later it has nothing to add to silence. */
const MAX_CONCEALED = 5
/** DTX sends packets of at most two bytes (RFC 6716 §2.1.9 and libopus): nothing was said around them. */
const DTX_BYTES = 2

/** Decodes one voice with `codec`, on `thread` where that is wanted. */
const makeDecoder = (
  codec: OpusCodec.OpusCodec,
  onAudio: OnAudio,
  thread?: DecodingThread.DecodingThread
): PacketDecoder => {
  const counters: DecoderCounters = { packets: 0, lost: 0, reordered: 0, late: 0, concealedSamples: 0, undecodable: 0 }
  const timeline = RtpTimeline.make()
  const encryption = Encryption.make()
  const silence = makeSilence(codec)
  const pieces = SoundPieces.make()
  const { handle } = codec
  const origin: { -readonly [K in keyof AudioOrigin]: AudioOrigin[K] } = {
    atMs: 0,
    audioLevel: undefined,
    packet: new Uint8Array(0)
  }
  /** The codec's own way to conceal exactly one frame: a packet of nothing but the last TOC byte. */
  const concealment = new Uint8Array(1)
  let lastTicks = 0
  const sound: { -readonly [K in keyof NextSound]: NextSound[K] } = { position: 0, length: 0 }
  let lastWasDtx = true
  /** Pieces that are to be probed and are away. */
  let probing = 0
  let bug: { readonly cause: unknown } | undefined

  /** The oldest piece has become sound, or is no Opus. */
  const play = (packet: Uint8Array, pcm: Float32Array | undefined) => {
    const piece = pieces.take()
    if (piece.isProbed) probing--
    if (pcm === undefined) {
      if (!piece.isConcealed) counters.undecodable++
      return
    }
    if (piece.isConcealed) counters.concealedSamples += pcm.length
    if (piece.isProbed) silence.probe(pcm)
    origin.atMs = piece.atMs
    origin.audioLevel = piece.isConcealed || !silence.trusts() ? undefined : piece.audioLevel
    origin.packet = packet
    const from = Math.max(0, Math.floor(piece.end / 2) - Math.floor(piece.start / 2))
    if (from === 0) onAudio(Math.floor(piece.start / 2), pcm, origin)
    else if (from < pcm.length) onAudio(Math.floor(piece.end / 2), pcm.subarray(from), origin)
  }
  const taker: DecodingThread.Taker = {
    decoded: (packet, pcm) => {
      try {
        play(packet, pcm)
        for (let next = pieces.first(); next?.shown !== undefined; next = pieces.first()) play(next.packet, next.shown)
      } catch (cause) {
        // whoever hands over the next packet is told
        bug = { cause }
      }
    }
  }

  /** A piece that was just added becomes sound: of `packet`, or what is shown instead. Tells whether it has, or may still become some. */
  const render = (packet: Uint8Array, ticks: number, shown: Float32Array | undefined, isBeside: boolean): boolean => {
    const isFirst = pieces.count() === 1
    if (shown !== undefined && !isFirst) pieces.keep(packet, shown)
    else if (shown === undefined && isBeside && thread !== undefined && handle !== undefined) {
      thread.decode(handle, packet, ticks / 2, taker)
    } else {
      const pcm = shown ?? codec.decode(packet)
      play(packet, pcm)
      return pcm !== undefined
    }
    return true
  }

  const conceal = (lost: number, from: number, until: number, atMs: number, isBeside: boolean) => {
    const frameTicks = frameTicksOf(concealment[0] ?? 0)
    let at = from
    const end = Math.min(until, from + lost * lastTicks)
    while (at + frameTicks <= end) {
      const piece = pieces.add(at, at, atMs)
      piece.isConcealed = true
      if (!render(concealment, frameTicks, undefined, isBeside)) return
      at += frameTicks
    }
  }

  const settle = () => {
    if (pieces.count() > 0) thread?.settle()
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
    // whether its level is believed is what a probe says
    if (probing > 0 && packet.audioLevel === SILENT_LEVEL) settle()
    const isBeside = (handle !== undefined && thread?.isWanted(atMs) === true) || pieces.count() > 0
    const end = timeline.end()
    const start = timeline.place(packet.timestamp, packet.ssrc, atMs)
    if (lost > 0 && lost <= MAX_CONCEALED && !lastWasDtx && start > end) conceal(lost, end, start, atMs, isBeside)
    const piece = pieces.add(start, end, atMs)
    piece.audioLevel = packet.audioLevel
    const shown = silence.next(packet.audioLevel, ticks)
    piece.isProbed = shown === undefined && silence.isProbe(packet.audioLevel)
    if (piece.isProbed) probing++
    if (!render(payload, ticks, shown, isBeside)) return
    timeline.extend(ticks)
    lastTicks = ticks
    lastWasDtx = payload.length <= DTX_BYTES
    concealment[0] = (payload[0] ?? 0) & 0xfc
  }

  const window = ReorderWindow.make(hear, counters)
  return {
    decode: (packet, atMs) => {
      if (bug !== undefined) {
        const { cause } = bug
        bug = undefined
        throw cause
      }
      window.push(packet, atMs)
    },
    tick: window.tick,
    passOver: window.passOver,
    isWaiting: () => pieces.count() > 0 || window.isWaiting(),
    isDecoding: () => pieces.count() > 0,
    next: () => {
      if (lastTicks === 0 || window.isWaiting()) return undefined
      sound.position = Math.floor(timeline.end() / 2)
      sound.length = lastTicks / 2
      return sound
    },
    settle,
    isSilent: ({ audioLevel, payload }) => {
      settle()
      return silence.holds(payload, audioLevel)
    },
    counters,
    close: () => {
      settle()
      codec.close()
    }
  }
}

/** RFC 6464: digital silence. */
const SILENT_LEVEL = 127
/** −50 dBFS: louder than what a codec makes of silence. */
const AUDIBLE = 0.003
/** −55 dBFS: below it nobody speaks. Above, a packet is no louder than it says when it exceeds that by less than this, in dB. */
const QUIETEST_VOICE = 10 ** -5.5
const MISMATCH = 10
/** Packets after which a codec that was fed silence is silent itself, and how often it is looked at whether they still are. */
const SETTLED = 5
const LOOK_EVERY = 25

/** What is heard of packets that were not decoded, of all voices: whoever is given sound only reads it. */
const zeros = new Float32Array(MAX_TICKS / 2)

/**
 * Saves decoding the packets of a muted microphone, which a sender keeps sending and labels as silent. A sender whose labels are wrong is
 * found out within half a second and no longer believed.
 */
const makeSilence = (codec: Codec) => {
  let shown = zeros
  let run = 0
  let trusted = true
  const known = KnownSilence.make()
  /** What the next packet sounds like without being decoded; `undefined`: it is to be. */
  const next = (level: number | undefined, ticks: number): Float32Array | undefined => {
    if (level !== SILENT_LEVEL || !trusted) {
      run = 0
      return undefined
    }
    run++
    if (run <= SETTLED || run % LOOK_EVERY === 0) return undefined
    if (shown.length !== ticks / 2) shown = zeros.subarray(0, ticks / 2)
    return shown
  }
  const probe = (pcm: Float32Array) => {
    if (pcm.some((sample) => Math.abs(sample) > AUDIBLE)) trusted = false
  }
  /** Of a packet taken out of its turn. */
  const holds = (payload: Uint8Array, level = SILENT_LEVEL): boolean => {
    if (payload.length <= DTX_BYTES || known.has(payload, level)) return true
    const pcm = codec.decode(payload)
    if (pcm !== undefined && energyOf(pcm) <= Math.max(QUIETEST_VOICE, 10 ** ((MISMATCH - level) / 10))) {
      known.add(payload, level)
      return true
    }
    trusted = false
    return false
  }
  /** `isProbe`: the packet is decoded to be probed. */
  return {
    next,
    isProbe: (level: number | undefined) => level === SILENT_LEVEL && run >= SETTLED,
    probe,
    holds,
    trusts: () => trusted
  }
}

/** The variance, so that a constant offset is no sound. */
const energyOf = (pcm: Float32Array): number => {
  let sum = 0
  let squares = 0
  for (let n = 0; n < pcm.length; n++) {
    const sample = pcm[n] ?? 0
    sum += sample
    squares += sample * sample
  }
  return squares / pcm.length - (sum / pcm.length) ** 2
}
