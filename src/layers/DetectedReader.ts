/**
 * Reads audio of whatever kind it turns out to be, and notices when another recording begins.
 */
import type { RawAudio } from "../domain/AudioFormat.ts"
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Decoder } from "../services/Decoder.ts"
import type { Resampler } from "../services/Resampler.ts"
import * as AudioDetector from "./AudioDetector.ts"
import { type AudioListener, type AudioReader, headerless } from "./AudioReader.ts"
import * as ByteWindow from "./ByteWindow.ts"
import * as OggReader from "./OggReader.ts"
import * as PcmReader from "./PcmReader.ts"
import * as WavReader from "./WavReader.ts"
import * as WebmReader from "./WebmReader.ts"

export interface ReaderParts {
  readonly decoder: Decoder["Service"]
  readonly resampler: Resampler["Service"]
}

/**
 * Makes a reader. A recording that begins anew does so at the start of a message, or where the one before ends. Samples that are taken for
 * what is none of the recordings are read as `otherwise`.
 */
export const make = (otherwise: RawAudio, parts: ReaderParts, listener: AudioListener): AudioReader => {
  const { decoder, resampler } = parts
  let first = ByteWindow.make()
  let reader: AudioReader | undefined

  const readerOf = (kind: AudioDetector.AudioKind): AudioReader => {
    if (kind === "WebM") return WebmReader.make(decoder.makeCodec, listener)
    if (kind === "Ogg") return OggReader.make(decoder.makeCodec, listener)
    if (kind === "Wav") return WavReader.make(resampler, listener)
    if (kind === "Raw") return PcmReader.make(otherwise, resampler, listener)
    return PcmReader.refusing(kind === "Headerless" ? headerless : notSupported(kind.name), listener)
  }
  const begin = (kind: AudioDetector.AudioKind): AudioReader => {
    const made = readerOf(kind)
    made.read(first.view())
    first = ByteWindow.make()
    return made
  }

  return {
    read: (bytes) => {
      if (reader !== undefined && AudioDetector.beginsRecording(bytes)) {
        reader.close()
        reader = undefined
      }
      if (reader !== undefined) return reader.read(bytes)
      first.append(bytes)
      const kind = AudioDetector.detect(first.view())
      if (kind !== undefined) reader = begin(kind)
    },
    close: () => {
      reader ??= begin("Raw")
      reader.close()
    }
  }
}

const notSupported = (name: string): AudioTrouble =>
  new AudioTrouble({
    reason: "Unsupported",
    detail: `${name} is not supported: WebM or Ogg with Opus, WAV, and samples (PCM16, float32, A-law, µ-law) are.`,
    goesOn: false
  })
