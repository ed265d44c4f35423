/**
 * Reads samples that are written down one after the other, at any usual rate, mono or stereo.
 */
import { SAMPLE_RATE } from "../domain/Audio.ts"
import type { RawAudio } from "../domain/AudioFormat.ts"
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import { isSampleRate, type Resampler, sampleRates } from "../services/Resampler.ts"
import type { AudioListener, AudioReader } from "./AudioReader.ts"

/** How a sample is written: those of a client's own choice, and the others a WAV file may have. */
export type SampleEncoding = RawAudio["encoding"] | "pcm8" | "pcm24" | "pcm32"

export interface PcmFormat {
  readonly encoding: SampleEncoding
  /** Hz; any but those of `sampleRates` is refused. */
  readonly sampleRate: number
  readonly channels: number
}

/** Samples converted at once: 20 ms and more at every rate, however large a message is. */
const CHUNK = 1024

/**
 * Makes a reader. Channels are averaged; samples beyond full scale are clipped; NaN and infinity become silence and are told once per
 * `read`. The clock is exact: N samples in are ⌈N × 24,000 / rate⌉ out when it is closed.
 */
export const make = (format: PcmFormat, resampler: Resampler["Service"], listener: AudioListener): AudioReader => {
  const { channels, encoding, sampleRate } = format
  if (!isSampleRate(sampleRate) || (channels !== 1 && channels !== 2)) return refusing(unsupported(format), listener)
  const { bytes: sampleBytes, decode } = codings[encoding]
  const frameBytes = sampleBytes * channels
  const samples = new Float32Array(CHUNK)
  /** A frame that the end of a message cut. */
  const cut = new Uint8Array(frameBytes)
  let cutLength = 0
  const stream = resampler.make(sampleRate, SAMPLE_RATE)

  const give = (pcm: Float32Array) => {
    if (pcm.length > 0) listener.onSound(pcm)
  }
  /** Puts frames into `samples`; whether all of them were numbers. */
  const convert = (view: DataView, from: number, count: number): boolean => {
    if (encoding === "pcm16" && channels === 1) {
      // What nearly all clients send, in a third of the time: these are numbers within full scale.
      for (let n = 0; n < count; n++) samples[n] = view.getInt16(from + 2 * n, true) / 32_768
      return true
    }
    let sane = true
    for (let n = 0, at = from; n < count; n++, at += frameBytes) {
      let sample = decode(view, at)
      if (channels === 2) sample = (sample + decode(view, at + sampleBytes)) / 2
      if (!Number.isFinite(sample)) sane = false
      samples[n] = Number.isFinite(sample) ? Math.max(-1, Math.min(1, sample)) : 0
    }
    return sane
  }
  /** Takes whole frames; whether all of them were numbers. */
  const take = (bytes: Uint8Array): boolean => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let sane = true
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(CHUNK, (bytes.length - at) / frameBytes)
      if (!convert(view, at, count)) sane = false
      give(stream.process(count === CHUNK ? samples : samples.subarray(0, count)))
      at += count * frameBytes
    }
    return sane
  }

  return {
    read: (bytes) => {
      let at = 0
      let sane = true
      if (cutLength > 0) {
        at = Math.min(bytes.length, frameBytes - cutLength)
        cut.set(bytes.subarray(0, at), cutLength)
        cutLength += at
        if (cutLength < frameBytes) return
        sane = take(cut)
      }
      const end = at + Math.floor((bytes.length - at) / frameBytes) * frameBytes
      if (!take(bytes.subarray(at, end))) sane = false
      cutLength = bytes.length - end
      cut.set(bytes.subarray(end))
      if (!sane) listener.onTrouble(notANumber)
    },
    close: () => {
      give(stream.flush())
    }
  }
}

/** A reader of what cannot be read: says so once. */
export const refusing = (trouble: AudioTrouble, listener: AudioListener): AudioReader => {
  let told = false
  return {
    read: () => {
      if (!told) listener.onTrouble(trouble)
      told = true
    },
    close: () => undefined
  }
}

const unsupported = ({ channels, sampleRate }: PcmFormat): AudioTrouble =>
  new AudioTrouble({
    reason: "Unsupported",
    detail: `Audio with ${channels} channels at ${sampleRate} Hz is not supported: 1 or 2 channels at ${sampleRates.join(", ")} Hz are.`,
    goesOn: false
  })

const notANumber = new AudioTrouble({
  reason: "NotANumber",
  detail: "Samples that are not numbers (NaN or infinite) were heard as silence.",
  goesOn: true
})

interface Coding {
  readonly bytes: number
  /** Full scale is 1. */
  readonly decode: (view: DataView, at: number) => number
}

/** ITU-T G.711: the 256 values of a law. */
const lawOf = (expand: (code: number) => number): Coding => {
  const values = Float32Array.from({ length: 256 }, (_, code) => expand(code) / 32_768)
  return { bytes: 1, decode: (view, at) => values[view.getUint8(at)] ?? 0 }
}

const muLaw = (code: number): number => {
  const bits = ~code & 0xff
  const magnitude = ((((bits & 15) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84
  return bits & 0x80 ? -magnitude : magnitude
}

const aLaw = (code: number): number => {
  const bits = code ^ 0x55
  const exponent = (bits >> 4) & 7
  const mantissa = ((bits & 15) << 4) + 8
  const magnitude = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1)
  return bits & 0x80 ? magnitude : -magnitude
}

const codings: Readonly<Record<SampleEncoding, Coding>> = {
  pcm8: { bytes: 1, decode: (view, at) => (view.getUint8(at) - 128) / 128 },
  pcm16: { bytes: 2, decode: (view, at) => view.getInt16(at, true) / 32_768 },
  pcm24: {
    bytes: 3,
    decode: (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65_536) / 8_388_608
  },
  pcm32: { bytes: 4, decode: (view, at) => view.getInt32(at, true) / 2_147_483_648 },
  float32: { bytes: 4, decode: (view, at) => view.getFloat32(at, true) },
  pcmu: lawOf(muLaw),
  pcma: lawOf(aLaw)
}
