/**
 * AudioDetector: what a client sends is found out from its first bytes.
 */
import { startsWith } from "./OpusTrack.ts"
import * as WebmBlock from "./WebmBlock.ts"

export type AudioKind =
  | "WebM"
  | "Ogg"
  | "Wav"
  /** The middle of a WebM recording. */
  | "Headerless"
  | { readonly _tag: "Refused"; readonly name: string }
  /** None of these, so samples as they are. */
  | "Raw"

const EBML = [0x1a, 0x45, 0xdf, 0xa3]
/** The longest frame of MP3: 1152 samples at 320 kbit/s and 32 kHz, padded. What is told from two frames in a row needs the next header too. */
const LONGEST_MP3_FRAME = 1441
/** Where the middle of a recording is looked for: several blocks of a voice. */
const LOOKED_AT = 4096

/**
 * What begins with these bytes; undefined while they are too few to tell. Samples are told apart at once unless their first bytes happen to be
 * those of something else.
 */
export const detect = (bytes: Uint8Array): AudioKind | undefined => {
  const kinds = signatures.map(({ is, kind }) => ({ kind, verdict: is(bytes) }))
  const found = kinds.find(({ verdict }) => verdict === true)
  if (found !== undefined) return found.kind
  if (kinds.some(({ verdict }) => verdict === undefined)) return undefined
  const isMiddle = isMiddleOfWebm(bytes)
  if (isMiddle === undefined) return undefined
  return isMiddle ? "Headerless" : "Raw"
}

/** Whether another recording begins with a message that begins so. */
export const beginsRecording = (message: Uint8Array): boolean =>
  message.length >= 12 && (matches(message, EBML) === true || beginsOgg(message) || isWav(message) === true)

/** The first page of a stream; any other is of one that is being heard, or of nothing. */
const beginsOgg = (message: Uint8Array): boolean => startsWith(message, "OggS") && ((message[5] ?? 0) & 2) !== 0

/** Whether the bytes at `from` are these; undefined while it cannot be told. */
const matches = (bytes: Uint8Array, expected: ReadonlyArray<number>, from = 0): boolean | undefined => {
  if (expected.some((byte, n) => from + n < bytes.length && bytes[from + n] !== byte)) return false
  return from + expected.length <= bytes.length ? true : undefined
}

const text = (expected: string, from = 0) => {
  const codes = Array.from(expected, (char) => char.charCodeAt(0))
  return (bytes: Uint8Array) => matches(bytes, codes, from)
}

/** All of them must hold. */
const both = (one: boolean | undefined, other: boolean | undefined): boolean | undefined => {
  if (one === false || other === false) return false
  return one === true && other === true ? true : undefined
}

/** RF64 is for more than 4 GB. */
const isWav = (bytes: Uint8Array) => {
  const [usual, large] = [text("RIFF")(bytes), text("RF64")(bytes)]
  const isRiff = usual === true || large === true || (usual === false && large === false ? false : undefined)
  return both(isRiff, text("WAVE", 8)(bytes))
}

/** A header of AAC (ISO 13818-7 §6.2, ADTS) and another one where its frame ends. One alone could be samples. */
const isAdts = (bytes: Uint8Array): boolean | undefined => {
  const [first, second = 0xf0, , fourth = 0, fifth = 0, sixth = 0] = bytes
  if ((first ?? 0xff) !== 0xff || (second & 0xf6) !== 0xf0) return false
  if (bytes.length < 6) return undefined
  const length = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5)
  return length > 7 && matches(bytes, [0xff, second], length)
}

/** A header of MP3 (ISO 11172-3 §2.4.2.3) and another one where its frame ends. One alone could be samples. */
const isMp3 = (bytes: Uint8Array): boolean | undefined => {
  const sync = matches(bytes, [0xff])
  if (sync !== true) return sync
  if (bytes.length < 4) return ((bytes[1] ?? 0xe2) & 0xe6) === 0xe2 ? undefined : false
  const length = mp3FrameBytes(bytes)
  return length > 0 && matches(bytes, [0xff, bytes[1] ?? 0], length)
}

/** kbit/s and Hz of layer III by version; 0 where the header is none. */
const mp3FrameBytes = (bytes: Uint8Array): number => {
  const [, second = 0, third = 0] = bytes
  const version = (second >> 3) & 3
  if ((second & 0xe6) !== 0xe2 || version === 1) return 0
  const isFirst = version === 3
  const kilobits = (isFirst ? mp3Kilobits : mp3LowKilobits)[third >> 4] ?? 0
  const hertz = ((mp3Hertz[(third >> 2) & 3] ?? 0) >> (isFirst ? 0 : version === 2 ? 1 : 2)) | 0
  if (kilobits === 0 || hertz === 0) return 0
  const length = Math.floor(((isFirst ? 144_000 : 72_000) * kilobits) / hertz) + ((third >> 1) & 1)
  return Math.min(length, LONGEST_MP3_FRAME)
}

const mp3Kilobits = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0]
const mp3LowKilobits = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0]
const mp3Hertz = [44_100, 48_000, 32_000, 0]

const refused = (name: string): AudioKind => ({ _tag: "Refused", name })

const signatures: ReadonlyArray<{ readonly kind: AudioKind; readonly is: (bytes: Uint8Array) => boolean | undefined }> =
  [
    { kind: "WebM", is: (bytes) => matches(bytes, EBML) },
    { kind: "Ogg", is: text("OggS") },
    { kind: "Wav", is: isWav },
    { kind: refused("MP4"), is: (bytes) => both(matches(bytes, [0, 0, 0]), text("ftyp", 4)(bytes)) },
    { kind: refused("FLAC"), is: text("fLaC") },
    { kind: refused("MP3"), is: text("ID3") },
    { kind: refused("MP3"), is: isMp3 },
    { kind: refused("AAC"), is: isAdts }
  ]

/** A cluster begins somewhere here with its time, or one block follows another; undefined while a block's end is not there. */
const isMiddleOfWebm = (bytes: Uint8Array): boolean | undefined => {
  const end = Math.min(bytes.length, LOOKED_AT)
  let verdict: boolean | undefined = false
  // The first byte of an id may have come with the message before: Chromium cuts there.
  for (let at = -1; at < end; at++) {
    const first = bytes[at]
    if ((at < 0 || first === 0x1f) && isClusterAt(bytes, at)) return true
    if (at >= 0 && first !== 0xa3) continue
    const isFollowed = isBlockAt(bytes, at)
    if (isFollowed === true) return true
    verdict = isFollowed === false ? verdict : undefined
  }
  return verdict
}

/** A cluster of unknown size, as all who record write it. */
const isClusterAt = (bytes: Uint8Array, at: number): boolean =>
  matches(bytes, [0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7], at + 1) === true

/** Whether a block has another one, or a cluster, behind it. Nothing is waited for before its header is there: that is one sample in 256. */
const isBlockAt = (bytes: Uint8Array, at: number): boolean | undefined => {
  const size = WebmBlock.numberAt(bytes, at + 1)
  if (size === undefined || size < 5 || size > LOOKED_AT) return false
  const content = at + 1 + WebmBlock.widthOf(bytes[at + 1] ?? 0)
  // Its track is one of the first, and none of its flags is one that does not exist.
  if (((bytes[content] ?? 0) & 0xf0) !== 0x80 || ((bytes[content + 3] ?? 0xff) & 0x70) !== 0) return false
  return matches(bytes, [0xa3], content + size) !== false || matches(bytes, [0x1f, 0x43], content + size) !== false
    ? bytes.length > content + size + 1 || undefined
    : false
}
