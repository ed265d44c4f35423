/**
 * Reads WebM and Matroska with Opus while it is being recorded (RFC 9559): packets are decoded as soon as their last byte is there.
 *
 * The elements are read in a row, without a tree: recorders leave the sizes of what they have not finished unknown, and every element says by
 * its id what it is.
 */
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Codec } from "../services/Decoder.ts"
import { type AudioListener, type AudioReader, headerless } from "./AudioReader.ts"
import * as ByteWindow from "./ByteWindow.ts"
import * as OpusTrack from "./OpusTrack.ts"
import * as WebmBlock from "./WebmBlock.ts"

/** Ids of elements (RFC 9559 §5.1). */
const EBML = 0x1a45dfa3
const CLUSTER = 0x1f43b675
const TRACK_ENTRY = 0xae
const BLOCK_GROUP = 0xa0
const BLOCK = 0xa1
const SIMPLE_BLOCK = 0xa3
/** Segment, Info, Tracks and these: what is in them counts, not where they end. */
const CONTAINERS = new Set([0x18538067, 0x1549a966, 0x1654ae6b, TRACK_ENTRY, CLUSTER, BLOCK_GROUP])
const TIMESTAMP_SCALE = 0x2ad7b1
const TIMESTAMP = 0xe7
const TRACK_NUMBER = 0xd7
const CODEC_ID = 0x86
const CODEC_PRIVATE = 0x63a2
const CONTENT_ENCODINGS = 0x6d80
const DISCARD_PADDING = 0x75a2
/** Elements that are looked into. */
const LEAVES = new Set([
  ...[TIMESTAMP_SCALE, TIMESTAMP, TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE, CONTENT_ENCODINGS, DISCARD_PADDING],
  ...[BLOCK, SIMPLE_BLOCK]
])

/** Waited for in one piece: a block of 255 frames of the longest Opus there is would be larger, but nobody writes one. */
const LARGEST_LEAF = 262_144
/** Passed over without being kept: a picture of another track, tags, an index. Above it is damage or malice. */
const LARGEST_ELEMENT = 16 * 1024 * 1024
/** Looked through for the next cluster after damage. */
const LONGEST_SEARCH = 1024 * 1024
const MOST_TRACKS = 32
/** Of what decoders are told to begin with; Opus needs 19 bytes. */
const LONGEST_SETUP = 512
/** RFC 9559 §5.1.2.9: ns. */
const DEFAULT_SCALE = 1_000_000
const TICKS_PER_NS = 48_000 / 1e9
/** Packets come with their number, two bytes of time and flags before them. */
const BLOCK_HEADER = 11

interface Entry {
  number: number
  codec: string
  setup: Uint8Array
  isEncoded: boolean
}

/**
 * Makes a reader. Of several tracks the first with Opus is heard. After damage it goes on with the next cluster; another recording may follow
 * on the same stream. Times are those of the blocks, whose recorders jitter: Chromium's by 15 ms (measured with version 150).
 */
export const make = (makeCodec: () => Codec, listener: AudioListener): AudioReader => {
  const window = ByteWindow.make()
  /** Bytes that are done with. */
  let offset = 0
  let state: "Reading" | "Searching" | "Lost" = "Reading"
  let searched = 0
  let scale = DEFAULT_SCALE
  let clusterTime = 0
  let entries: Array<Entry> = []
  let track: OpusTrack.OpusTrack | undefined
  let trackNumber = 0
  /** A block waits for the end of its group: padding may be told behind it. */
  let grouped: Uint8Array | undefined
  let groupEnd = Number.POSITIVE_INFINITY
  let paddingNs = 0

  const advance = (count: number) => {
    window.drop(count)
    offset += count
  }
  /** Nothing of this recording can be heard any more. */
  const lose = (trouble: AudioTrouble) => {
    state = "Lost"
    listener.onTrouble(trouble)
  }
  /** What lies here is not understood; what follows may be. */
  const search = () => {
    state = "Searching"
    searched = 0
    listener.onTrouble(damaged)
  }

  const restart = () => {
    track?.close()
    track = undefined
    scale = DEFAULT_SCALE
    clusterTime = 0
    entries = []
    grouped = undefined
  }

  const chooseTrack = () => {
    const entry = entries.find(({ codec }) => codec === "A_OPUS")
    if (entry === undefined) return lose(entries.length === 0 ? headerless : otherCodec(entries))
    if (entry.isEncoded) return lose(encoded)
    const head = OpusTrack.parseHead(entry.setup, "WebM")
    if (head instanceof AudioTrouble) return lose(head)
    trackNumber = entry.number
    track = OpusTrack.make(head, makeCodec(), jitterOf, listener)
  }

  const playBlock = (bytes: Uint8Array, discardNs: number) => {
    const block = WebmBlock.parse(bytes)
    if (block === undefined) return listener.onTrouble(damaged)
    const tick = (clusterTime + block.timestamp) * scale * TICKS_PER_NS
    const last = block.frames.length - 1
    block.frames.forEach((frame, n) => {
      if (frame.length === 0) return
      const padding = n === last ? Math.round(Math.max(0, discardNs) * TICKS_PER_NS) : 0
      track?.play(frame, { tick: n === 0 ? tick : undefined, padding })
    })
  }
  const endGroup = () => {
    if (grouped !== undefined) playBlock(grouped, paddingNs)
    grouped = undefined
  }

  const enter = ({ id, size }: Element) => {
    if (id === TRACK_ENTRY && entries.length < MOST_TRACKS) {
      entries.push({ number: 0, codec: "", setup: new Uint8Array(0), isEncoded: false })
    }
    if (id === CLUSTER && track === undefined) chooseTrack()
    if (id === BLOCK_GROUP) {
      groupEnd = size < 0 ? Number.POSITIVE_INFINITY : offset + size
      paddingNs = 0
    }
  }

  const leaf = (id: number, bytes: Uint8Array) => {
    const entry = entries.at(-1)
    if (id === SIMPLE_BLOCK) playBlock(bytes, 0)
    else if (id === BLOCK) grouped = bytes.slice()
    else if (id === DISCARD_PADDING) paddingNs = signed(bytes)
    else if (id === TIMESTAMP) clusterTime = WebmBlock.unsigned(bytes)
    else if (id === TIMESTAMP_SCALE) scale = WebmBlock.unsigned(bytes) || DEFAULT_SCALE
    else if (entry !== undefined && id === TRACK_NUMBER) entry.number = WebmBlock.unsigned(bytes)
    else if (entry !== undefined && id === CODEC_ID) entry.codec = textOf(bytes)
    else if (entry !== undefined && id === CODEC_PRIVATE) entry.setup = bytes.slice(0, LONGEST_SETUP)
    else if (entry !== undefined && id === CONTENT_ENCODINGS) entry.isEncoded = true
  }

  const take = ({ header, id, size }: Element, bytes: Uint8Array): boolean => {
    const isBlock = id === BLOCK || id === SIMPLE_BLOCK
    if (isBlock && bytes.length < header + Math.min(size, BLOCK_HEADER)) return false
    const isWanted = isBlock
      ? track !== undefined && WebmBlock.trackOf(bytes.subarray(header, header + size)) === trackNumber
      : LEAVES.has(id)
    if (size > (isWanted ? LARGEST_LEAF : LARGEST_ELEMENT)) {
      lose(tooLarge)
      return false
    }
    if (isWanted && bytes.length < header + size) return false
    if (id === SIMPLE_BLOCK) endGroup()
    if (isWanted) leaf(id, bytes.subarray(header, header + size))
    advance(header + size)
    if (offset >= groupEnd) endGroup()
    return true
  }

  /** Takes the next element, or as much of it as need not be waited for; false when more bytes are needed. */
  const readElement = (bytes: Uint8Array): boolean => {
    const element = elementAt(bytes)
    if (element === "Incomplete") return false
    if (element === "Damaged" || (element.size < 0 && !CONTAINERS.has(element.id))) {
      search()
      return true
    }
    if (!CONTAINERS.has(element.id) && element.id !== EBML) return take(element, bytes)
    endGroup()
    advance(element.header)
    if (element.id !== EBML) enter(element)
    else if (element.size > LARGEST_LEAF) lose(tooLarge)
    else {
      restart()
      advance(element.size)
    }
    return true
  }

  /** Goes to where a cluster or another recording begins. */
  const findBeginning = (bytes: Uint8Array): boolean => {
    let at = 1
    while (at + 4 <= bytes.length && !isBeginning(bytes, at)) at++
    const isFound = at + 4 <= bytes.length
    const passed = isFound ? at : Math.max(0, bytes.length - 3)
    searched += passed
    advance(passed)
    if (isFound) state = "Reading"
    else if (searched > LONGEST_SEARCH) lose(hopeless)
    return isFound
  }

  const step = (): boolean => {
    if (state === "Lost") return false
    return state === "Reading" ? readElement(window.view()) : findBeginning(window.view())
  }

  return {
    read: (bytes) => {
      if (state === "Lost") return
      window.append(bytes)
      while (step());
    },
    close: () => {
      if (state !== "Lost") endGroup()
      track?.close()
      track = undefined
      state = "Lost"
    }
  }
}

interface Element {
  readonly id: number
  /** −1 when unknown. */
  readonly size: number
  /** Bytes before the content. */
  readonly header: number
}

const elementAt = (bytes: Uint8Array): Element | "Incomplete" | "Damaged" => {
  const idWidth = WebmBlock.widthOf(bytes[0] ?? 255)
  if (idWidth > 4) return "Damaged"
  const sizeWidth = WebmBlock.widthOf(bytes[idWidth] ?? 255)
  if (sizeWidth > 8) return "Damaged"
  const size = WebmBlock.numberAt(bytes, idWidth)
  if (size === undefined) return "Incomplete"
  return { id: WebmBlock.unsigned(bytes.subarray(0, idWidth)), size, header: idWidth + sizeWidth }
}

/** The first bytes of a cluster or of an EBML header. */
const isBeginning = (bytes: Uint8Array, at: number): boolean => {
  const first = bytes[at]
  if (first === 0x1f) return bytes[at + 1] === 0x43 && bytes[at + 2] === 0xb6 && bytes[at + 3] === 0x75
  return first === 0x1a && bytes[at + 1] === 0x45 && bytes[at + 2] === 0xdf && bytes[at + 3] === 0xa3
}

/** A packet left out is missing whole; blocks are later than they should be by a part of one. */
const jitterOf = (ticks: number): number => Math.max(720, 0.6 * ticks)

const signed = (bytes: Uint8Array): number => {
  const value = WebmBlock.unsigned(bytes)
  const range = 256 ** bytes.length
  return value >= range / 2 ? value - range : value
}

/** Printable, and short enough for a sentence. */
const textOf = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 40), (byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : "")).join("")

const trouble = (reason: AudioTrouble["reason"], detail: string, goesOn = false): AudioTrouble =>
  new AudioTrouble({ reason, detail, goesOn })

const damaged = trouble("Undecodable", "A part of the WebM recording is damaged and was left out.", true)
const hopeless = trouble("Undecodable", "The WebM recording is damaged: nothing in it can be understood any more.")
const tooLarge = trouble("TooLarge", "An element of the WebM recording is larger than any audio.")
const encoded = trouble("Unsupported", "The WebM recording is compressed or encrypted: only plain Opus is supported.")
const otherCodec = (entries: ReadonlyArray<Entry>): AudioTrouble => {
  const codecs = entries.map(({ codec }) => codec).slice(0, 4)
  return trouble("Unsupported", `A WebM recording with ${codecs.join(", ")} is not supported: it must have Opus.`)
}
