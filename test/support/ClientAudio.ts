/**
 * Audio as clients of the streaming sockets send it: tone-coded words as samples, WAV, WebM and Ogg, cut into messages; and what a voice makes
 * of them.
 */
import { assert } from "@effect/vitest"
import { Effect, type Scope, Stream } from "effect"
import { createEncoder } from "libopus-wasm"
import type { AudioFrame } from "../../src/domain/Audio.ts"
import { type AudioFormat, type RawAudio, rawAudio } from "../../src/domain/AudioFormat.ts"
import type { AudioTrouble } from "../../src/domain/AudioTrouble.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as OggPage from "../../src/layers/OggPage.ts"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"
import * as SocketVoice from "../../src/layers/SocketVoice.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import type { Decoder } from "../../src/services/Decoder.ts"

export const resampler = { make: PolyphaseResampler.make }
export const FRAME = 1920
export const WORDS = [3, 1000, 2047, 512]
/** ms of silence before and after the words. */
export const LEAD_MS = 500
const TRAIL_MS = 700

/** The words at any rate from 11,025 Hz on (below, the highest tone of 4.2 kHz does not fit), with silence around them. */
export const speech = (sampleRate: number, words: ReadonlyArray<number> = WORDS, firstSequence = 0): Float32Array => {
  const { pcm } = ToneModem.speak(words, { speaker: 5, sampleRate, firstSequence })
  const before = Math.round((LEAD_MS * sampleRate) / 1000)
  const sound = new Float32Array(before + pcm.length + Math.round((TRAIL_MS * sampleRate) / 1000))
  sound.set(pcm, before)
  return sound
}

/** When each of the words begins, ms. */
export const wordStarts = (words: ReadonlyArray<number> = WORDS): ReadonlyArray<number> =>
  ToneModem.speak(words, { speaker: 5, sampleRate: 24_000 }).words.map(({ startMs }) => LEAD_MS + startMs)

export const detected: AudioFormat = { _tag: "Detected", otherwise: rawAudio("pcm16", 24_000) }

/** The same sound on both channels, a little apart in loudness, so that a channel alone is not the mean. */
const interleaved = (pcm: Float32Array, channels: number): ReadonlyArray<number> =>
  channels === 1 ? [...pcm] : [...pcm].flatMap((sample) => [1.2 * sample, 0.8 * sample])

export const rawBytes = (
  pcm: Float32Array,
  { channels, encoding }: Pick<RawAudio, "channels" | "encoding">
): Buffer => {
  const samples = interleaved(pcm, channels)
  const bytes = Buffer.alloc(samples.length * { pcm16: 2, float32: 4, pcmu: 1, pcma: 1 }[encoding])
  samples.forEach((sample, n) => {
    const value = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768)))
    if (encoding === "pcm16") bytes.writeInt16LE(value, 2 * n)
    else if (encoding === "float32") bytes.writeFloatLE(sample, 4 * n)
    else bytes[n] = encoding === "pcmu" ? muLaw(value) : aLaw(value)
  })
  return bytes
}

/** G.711 by its text, 14 and 13 bits. */
const muLaw = (value: number): number => {
  const biased = Math.min(8159, Math.abs(value) >> 2) + 33
  const segment = Math.max(0, 26 - Math.clz32(biased))
  return ~((value < 0 ? 0x80 : 0) | (segment << 4) | ((biased >> (segment + 1)) & 15)) & 0xff
}
const aLaw = (value: number): number => {
  const magnitude = (value < 0 ? ~value : value) >> 4
  const segment = Math.max(0, 28 - Math.clz32(magnitude | 1))
  const mantissa = segment === 0 ? magnitude & 15 : (magnitude >> (segment - 1)) & 15
  return ((value < 0 ? 0 : 0x80) | (segment << 4) | mantissa) ^ 0x55
}

export interface WavOptions {
  readonly sampleRate: number
  readonly channels?: 1 | 2
  readonly code?: number
  readonly bits?: number
  /** What the header says of the samples; default their length. */
  readonly size?: number
  readonly extensible?: boolean
}

export const wav = (samples: Uint8Array, options: WavOptions): Buffer => {
  const { bits = 16, channels = 1, code = 1, extensible = false, sampleRate, size = samples.length } = options
  const format = Buffer.alloc(extensible ? 40 : 16)
  format.writeUInt16LE(extensible ? 0xfffe : code, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(sampleRate, 4)
  format.writeUInt32LE((sampleRate * channels * bits) / 8, 8)
  format.writeUInt16LE((channels * bits) / 8, 12)
  format.writeUInt16LE(bits, 14)
  if (extensible) format.writeUInt16LE(code, 24)
  const chunk = (name: string, length: number, content: Uint8Array) => {
    const header = Buffer.alloc(8)
    header.write(name, "latin1")
    header.writeUInt32LE(length, 4)
    return Buffer.concat([header, content, Buffer.alloc(content.length % 2)])
  }
  const list = chunk("LIST", 5, Buffer.from("INFOx"))
  const body = Buffer.concat([
    Buffer.from("WAVE"),
    list,
    chunk("fmt ", format.length, format),
    chunk("data", size, samples)
  ])
  return chunk("RIFF", body.length, body)
}

export const PRE_SKIP = 312

/** Opus of 20 ms each; libopus is 312 samples of 48 kHz late, as `PRE_SKIP` says. */
export const opus = (
  pcm: Float32Array,
  {
    channels = 1,
    sampleRate = 48_000
  }: { readonly channels?: 1 | 2; readonly sampleRate?: 8000 | 12_000 | 16_000 | 24_000 | 48_000 } = {}
): Effect.Effect<ReadonlyArray<Uint8Array>> =>
  Effect.promise(async () => {
    const frame = sampleRate / 50
    const encoder = await createEncoder({ sampleRate, channels, bitrate: 48_000 * channels, frameSize: frame })
    const packets = Array.from({ length: Math.ceil(pcm.length / frame) + 1 }, (_, n) => {
      const piece = new Float32Array(frame)
      piece.set(pcm.subarray(n * frame, (n + 1) * frame))
      return encoder.encodeFloat(Float32Array.from(interleaved(piece, channels))).slice()
    })
    encoder.free()
    return packets
  })

export const opusHead = (channels = 1, preSkip = PRE_SKIP): Buffer => {
  const head = Buffer.alloc(19)
  head.write("OpusHead", "latin1")
  head[8] = 1
  head[9] = channels
  head.writeUInt16LE(preSkip, 10)
  head.writeUInt32LE(48_000, 12)
  return head
}

const size = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(0x10000000 + value)
  return bytes
}
export const UNKNOWN = Buffer.from("01ffffffffffffff", "hex")
export const element = (id: string, content: Uint8Array, length: Buffer = size(content.length)): Buffer =>
  Buffer.concat([Buffer.from(id, "hex"), length, content])
const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

export type Lacing = "none" | "xiph" | "fixed" | "ebml"

/** A block of track 1 with these packets. */
export const block = (
  packets: ReadonlyArray<Uint8Array>,
  ms: number,
  lacing: Lacing = "none",
  flags = 0x80
): Buffer => {
  const header = Buffer.from([0x81, 0, 0, flags | { none: 0, xiph: 2, fixed: 4, ebml: 6 }[lacing]])
  header.writeInt16BE(ms, 1)
  const sizes = packets.slice(0, -1).map(({ length }) => length)
  const xiph = sizes.flatMap((length) => [...new Array<number>(Math.floor(length / 255)).fill(255), length % 255])
  const twoBytes = (value: number) => [0x40 | (value >> 8), value & 255]
  const ebml = sizes.flatMap((length, n) => twoBytes(n === 0 ? length : length - (sizes[n - 1] ?? 0) + 8191))
  const table = {
    none: [],
    xiph: [packets.length - 1, ...xiph],
    fixed: [packets.length - 1],
    ebml: [packets.length - 1, ...ebml]
  }
  return Buffer.concat([header, Buffer.from(table[lacing]), ...packets])
}

export interface WebmOptions {
  readonly channels?: number
  readonly codec?: string
  readonly preSkip?: number
  /** Packets in a block. */
  readonly laced?: number
  readonly lacing?: Lacing
  readonly grouped?: boolean
  readonly knownSizes?: boolean
  /** ms at which a packet begins; default one every 20 ms. */
  readonly at?: (packet: number) => number
  /** Elements with no meaning in between, and a second track. */
  readonly padded?: boolean
}

export const webmHeader = ({
  channels = 1,
  codec = "A_OPUS",
  knownSizes = false,
  padded = false,
  preSkip = PRE_SKIP
}: WebmOptions = {}): Buffer => {
  const entry = (track: number, codec: string, setup: Uint8Array) =>
    element(
      "ae",
      Buffer.concat([element("d7", Buffer.from([track])), element("86", Buffer.from(codec)), element("63a2", setup)])
    )
  const tracks = [...(padded ? [entry(2, "V_VP8", Buffer.alloc(3))] : []), entry(1, codec, opusHead(channels, preSkip))]
  return Buffer.concat([
    element("1a45dfa3", element("4282", Buffer.from("webm"))),
    Buffer.from("18538067", "hex"),
    knownSizes ? size(0x0fff_fff0) : UNKNOWN,
    ...(padded ? [element("ec", Buffer.alloc(300, 0xa3))] : []),
    element("1549a966", element("2ad7b1", number(1_000_000))),
    element("1654ae6b", Buffer.concat(tracks))
  ])
}

/** A recording in clusters of half a second. */
export const webm = (packets: ReadonlyArray<Uint8Array>, options: WebmOptions = {}): Buffer => {
  const {
    at = (n) => 20 * n,
    grouped = false,
    knownSizes = false,
    laced = 1,
    lacing = "none",
    padded = false
  } = options
  const parts = [webmHeader(options)]
  let cluster: Array<Buffer> = []
  let clusterMs = -1
  const finish = () => {
    if (cluster.length > 0) parts.push(element("1f43b675", Buffer.concat(cluster), knownSizes ? undefined : UNKNOWN))
    cluster = []
  }
  for (let n = 0; n < packets.length; n += laced) {
    const ms = at(n)
    if (clusterMs < 0 || ms - clusterMs >= 500) {
      finish()
      clusterMs = ms
      cluster.push(element("e7", number(ms)))
    }
    const bytes = block(packets.slice(n, n + laced), ms - clusterMs, lacing, grouped ? 0 : 0x80)
    cluster.push(
      grouped ? element("a0", Buffer.concat([element("a1", bytes), element("9b", number(20))])) : element("a3", bytes)
    )
    // A picture of the other track.
    if (padded)
      cluster.push(
        element("a3", Buffer.concat([Buffer.from([0x82, 0, 0, 0x80]), Buffer.alloc(5000, 0x1f)])),
        element("ec", Buffer.alloc(3))
      )
  }
  finish()
  return Buffer.concat(parts)
}

export interface PageOptions {
  readonly granule: number
  readonly flags?: number
  readonly serial?: number
  readonly sequence: number
}

/** A page with whole packets, or with the given laces. */
export const oggPage = (
  packets: ReadonlyArray<Uint8Array>,
  { flags = 0, granule, sequence, serial = 77 }: PageOptions,
  laces = packets.flatMap(({ length }) => [...new Array<number>(Math.floor(length / 255)).fill(255), length % 255])
): Buffer => {
  const header = Buffer.alloc(27)
  header.write("OggS", "latin1")
  header[5] = flags
  header.writeBigInt64LE(BigInt(granule), 6)
  header.writeUInt32LE(serial, 14)
  header.writeUInt32LE(sequence, 18)
  header[26] = laces.length
  const page = Buffer.concat([header, Buffer.from(laces), ...packets])
  page.writeUInt32LE(OggPage.checksum(page), 22)
  return page
}

export interface OggOptions {
  readonly channels?: number
  readonly serial?: number
  readonly preSkip?: number
  readonly perPage?: number
  /** Ticks at the end of a packet; default 960 for each. */
  readonly endOf?: (packet: number) => number
  /** Where the recording says it ends. */
  readonly endTick?: number
}

export const ogg = (packets: ReadonlyArray<Uint8Array>, options: OggOptions = {}): ReadonlyArray<Buffer> => {
  const { channels = 1, endOf = (n) => 960 * (n + 1), endTick, perPage = 10, preSkip = PRE_SKIP, serial = 77 } = options
  const pages = Array.from({ length: Math.ceil(packets.length / perPage) }, (_, n) => {
    const last = Math.min(packets.length, (n + 1) * perPage) - 1
    const isEnd = last === packets.length - 1
    const granule = isEnd && endTick !== undefined ? endTick : endOf(last)
    return oggPage(packets.slice(n * perPage, last + 1), { granule, flags: isEnd ? 4 : 0, serial, sequence: n + 2 })
  })
  const tags = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(8)])
  return [
    oggPage([opusHead(channels, preSkip)], { granule: 0, flags: 2, serial, sequence: 0 }),
    oggPage([tags], { granule: 0, serial, sequence: 1 }),
    ...pages
  ]
}

/** Messages of so many bytes. */
export const cut = (bytes: Uint8Array, length: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, n) => bytes.subarray(n * length, (n + 1) * length))

export interface Listened {
  readonly frames: ReadonlyArray<AudioFrame>
  readonly troubles: ReadonlyArray<AudioTrouble>
  readonly borders: ReadonlyArray<SocketVoice.SpeechBorder>
  readonly heardMs: number
  readonly voice: SocketVoice.SocketVoice
}

type Options = Partial<SocketVoice.SocketVoiceOptions>
export const open = (decoder: Decoder["Service"], format: AudioFormat, options: Options = {}) =>
  SocketVoice.make({
    id: "a",
    language: () => LanguageId.make("en"),
    decoder,
    resampler,
    format,
    queueFrames: 10_000,
    ringBytes: 8_000_000,
    ...options
  })

/** All of it, to the end. */
export const listen = Effect.fnUntraced(function* (
  decoder: Decoder["Service"],
  format: AudioFormat,
  messages: ReadonlyArray<Uint8Array>
): Effect.fn.Return<Listened, never, Scope.Scope> {
  const borders: Array<SocketVoice.SpeechBorder> = []
  const voice = yield* open(decoder, format, { onSpeech: (border) => borders.push(border) })
  const troubles = messages.flatMap((message, n) => voice.hear(message, n) ?? [])
  voice.end(messages.length)
  const frames = yield* Stream.runCollect(voice.voice.frames)
  return { frames, troubles, borders, heardMs: voice.heardMs(), voice }
})

/** The sound of frames by their positions; zero where there are none. */
export const soundOf = (frames: ReadonlyArray<AudioFrame>, samples?: number): Float32Array => {
  const end = (frames.at(-1)?.position ?? 0) + FRAME
  const pcm = new Float32Array(Math.max(end, samples ?? 0))
  for (const frame of frames) pcm.set(frame.pcm, frame.position)
  return pcm
}

/** Words that were understood, and when they began; fails when one was damaged or missing. */
export const wordsIn = (
  frames: ReadonlyArray<AudioFrame>
): ReadonlyArray<{ readonly word: number; readonly startMs: number }> => {
  const words: Array<{ readonly word: number; readonly startMs: number }> = []
  const decoder = ToneModem.toneDecoder(24_000, (event) => {
    assert.strictEqual(event._tag, "Word")
    if (event._tag === "Word") words.push(event)
  })
  decoder.push(soundOf(frames))
  decoder.flush()
  return words
}

/** Complete, in order, once, and at the right time. */
export const assertWords = (frames: ReadonlyArray<AudioFrame>, expected = WORDS, fromMs = 0, toleranceMs = 6) => {
  const words = wordsIn(frames)
  assert.deepStrictEqual(
    words.map(({ word }) => word),
    expected
  )
  const starts = wordStarts(expected)
  words.forEach(({ startMs }, n) => {
    assert.approximately(startMs, fromMs + (starts[n] ?? 0), toleranceMs)
  })
}
