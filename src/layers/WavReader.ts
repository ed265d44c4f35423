/**
 * Reads WAV, also while it is being written: a size that is not known yet, or is wrong, ends nothing.
 */
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Resampler } from "../services/Resampler.ts"
import type { AudioListener, AudioReader } from "./AudioReader.ts"
import * as ByteWindow from "./ByteWindow.ts"
import { startsWith } from "./OpusTrack.ts"
import * as PcmReader from "./PcmReader.ts"

/** "RIFF", a size, "WAVE". */
const FILE_HEADER = 12
/** Name and size of a chunk. */
const CHUNK_HEADER = 8
const LONGEST_FORMAT = 4096
/** A client that does not know how long it will speak writes 0, or the largest number there is, give or take the header. */
const UNKNOWN_SIZE = 0x7fff_0000
/** Nobody writes more than this before the samples. */
const LARGEST_ELEMENT = 16 * 1024 * 1024

/**
 * Makes a reader of PCM with 8, 16, 24 or 32 bits, 32-bit float and G.711. Another WAV file may follow; whatever else follows the samples and
 * is no chunk is more of them.
 */
export const make = (resampler: Resampler["Service"], listener: AudioListener): AudioReader => {
  const window = ByteWindow.make()
  let isLost = false
  let samples: AudioReader | undefined
  /** Bytes of samples still to come in this chunk. */
  let left = 0
  /** A chunk with an odd number of bytes is followed by one without a meaning. */
  let padding = 0

  const lose = (trouble: AudioTrouble): false => {
    isLost = true
    listener.onTrouble(trouble)
    return false
  }

  const readSamples = (bytes: Uint8Array): boolean => {
    const count = Math.min(left, bytes.length)
    samples?.read(bytes.subarray(0, count))
    left -= count
    window.drop(left === 0 ? count + padding : count)
    return true
  }

  const beginSamples = (size: number): boolean => {
    if (samples === undefined) return lose(noFormat)
    window.drop(CHUNK_HEADER)
    left = size === 0 || size >= UNKNOWN_SIZE ? Number.POSITIVE_INFINITY : size
    padding = left % 2 === 1 ? 1 : 0
    return true
  }

  const readFormat = (bytes: Uint8Array, size: number): boolean => {
    if (size < 16 || size > LONGEST_FORMAT) return lose(noFormat)
    if (bytes.length < CHUNK_HEADER + size) return false
    const format = formatOf(bytes.subarray(CHUNK_HEADER, CHUNK_HEADER + size))
    if (format instanceof AudioTrouble) return lose(format)
    samples?.close()
    samples = PcmReader.make(format, resampler, listener)
    window.drop(CHUNK_HEADER + size + (size % 2))
    return true
  }

  const step = (): boolean => {
    const bytes = window.view()
    if (isLost || bytes.length === 0) return false
    if (left > 0) return readSamples(bytes)
    if (bytes.length < CHUNK_HEADER) return false
    if (samples !== undefined && !isName(bytes)) {
      left = Number.POSITIVE_INFINITY
      return true
    }
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true)
    if (isFile(bytes)) {
      if (bytes.length < FILE_HEADER) return false
      window.drop(FILE_HEADER)
      return true
    }
    if (startsWith(bytes, "fmt ")) return readFormat(bytes, size)
    if (startsWith(bytes, "data")) return beginSamples(size)
    if (size > LARGEST_ELEMENT) return lose(tooLarge)
    window.drop(CHUNK_HEADER + size + (size % 2))
    return true
  }

  return {
    read: (bytes) => {
      if (isLost) return
      window.append(bytes)
      while (step());
    },
    close: () => {
      samples?.close()
      isLost = true
    }
  }
}

/** RF64 is for more than 4 GB; its sizes are elsewhere, and not needed. */
const isFile = (bytes: Uint8Array): boolean => startsWith(bytes, "RIFF") || startsWith(bytes, "RF64")

/** A chunk's name is four printable characters. */
const isName = (bytes: Uint8Array): boolean => bytes.subarray(0, 4).every((byte) => byte >= 32 && byte < 127)

/** The rest of a format of its own, in which the first two bytes are the code (WAVE_FORMAT_EXTENSIBLE). */
const EXTENSIBLE = 0xfffe
const SUBFORMAT = 24

const formatOf = (bytes: Uint8Array): PcmReader.PcmFormat | AudioTrouble => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const code = view.getUint16(0, true)
  const actual = code === EXTENSIBLE && bytes.length >= SUBFORMAT + 2 ? view.getUint16(SUBFORMAT, true) : code
  const encoding = encodings.get(`${actual}:${view.getUint16(14, true)}`)
  if (encoding !== undefined) {
    return { encoding, channels: view.getUint16(2, true), sampleRate: view.getUint32(4, true) }
  }
  return new AudioTrouble({
    reason: "Unsupported",
    detail: `WAV with format ${actual} and ${view.getUint16(14, true)} bits is not supported: PCM with 8, 16, 24 or 32 bits, 32-bit float, A-law and µ-law are.`,
    goesOn: false
  })
}

/** Format code and bits per sample. */
const encodings = new Map<string, PcmReader.SampleEncoding>([
  ["1:8", "pcm8"],
  ["1:16", "pcm16"],
  ["1:24", "pcm24"],
  ["1:32", "pcm32"],
  ["3:32", "float32"],
  ["6:8", "pcma"],
  ["7:8", "pcmu"]
])

const noFormat = new AudioTrouble({
  reason: "Undecodable",
  detail: "The WAV header is damaged: it does not say how the samples are written.",
  goesOn: false
})
const tooLarge = new AudioTrouble({
  reason: "TooLarge",
  detail: "A part of the WAV header is larger than any header.",
  goesOn: false
})
