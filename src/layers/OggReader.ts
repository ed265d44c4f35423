/**
 * Reads Ogg with Opus while it is being recorded (RFC 7845), page by page: a page is understood when its checksum is there.
 */
import { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Codec } from "../services/Decoder.ts"
import { type AudioListener, type AudioReader, headerless } from "./AudioReader.ts"
import * as ByteWindow from "./ByteWindow.ts"
import * as OggPage from "./OggPage.ts"
import { ticksOf } from "./OpusPacket.ts"
import * as OpusTrack from "./OpusTrack.ts"

/** The longest Opus packet: 48 frames of 1275 bytes, and their lengths. Tags may be longer and are passed over. */
const LONGEST_PACKET = 61_440
/** Ticks. Granule positions are exact; this is the shortest frame of Opus. */
const SHORTEST_GAP = 120
/** Looked through for the next page after damage. */
const LONGEST_SEARCH = 1024 * 1024

/**
 * Makes a reader. Of several streams side by side the first with Opus is heard; a chained one takes its place. Damaged pages are left out, and
 * the silence in their place has their length.
 */
export const make = (makeCodec: () => Codec, listener: AudioListener): AudioReader => {
  const window = ByteWindow.make()
  let isLost = false
  let isSearching = false
  let searched = 0
  /** What the first pages of streams without Opus say, since the last page with audio. */
  let others: Array<string> = []
  let track: OpusTrack.OpusTrack | undefined
  let serial = 0
  /** Packets of our stream that ended: header, tags, audio. */
  let packets = 0
  /** The beginning of a packet that goes on in the next page. */
  let partial: Array<Uint8Array> = []
  /** Its length, also when it is too long to be kept. */
  let partialBytes = 0

  const lose = (trouble: AudioTrouble) => {
    isLost = true
    listener.onTrouble(trouble)
  }

  const beginStream = (page: OggPage.OggPage) => {
    const [head = new Uint8Array(0)] = page.pieces
    if (!OpusTrack.isHead(head)) {
      if (others.length < MOST_NAMED) others.push(codecOf(head))
      return
    }
    // A second stream of Opus beside ours; behind our audio it is the next link of a chain.
    if (track !== undefined && packets < 2) return
    const parsed = OpusTrack.parseHead(head, "Ogg")
    if (parsed instanceof AudioTrouble) return lose(parsed)
    track?.close()
    track = OpusTrack.make(parsed, makeCodec(), () => SHORTEST_GAP, listener)
    serial = page.serial
    packets = 1
    forget()
  }

  const forget = () => {
    partial = []
    partialBytes = 0
  }
  /** Keeps a piece of a packet; gives the packet when that was its end. */
  const join = (piece: Uint8Array, isEnd: boolean): Uint8Array | undefined => {
    if (isEnd && partialBytes === 0) return piece
    partialBytes += piece.length
    if (partialBytes <= LONGEST_PACKET) partial.push(isEnd ? piece : piece.slice())
    if (!isEnd) return undefined
    const packet = partialBytes <= LONGEST_PACKET ? Buffer.concat(partial) : new Uint8Array(0)
    if (partialBytes > LONGEST_PACKET && packets >= 2) listener.onTrouble(damaged)
    forget()
    return packet
  }

  /** The packets of audio that end in a page. */
  const packetsOf = ({ endsPacket, isContinued, pieces }: OggPage.OggPage): Array<Uint8Array> => {
    const ended: Array<Uint8Array> = []
    // What a packet began with is lost, or its end.
    const isCut = isContinued !== partialBytes > 0
    if (isCut) forget()
    pieces.forEach((piece, n) => {
      if (n === 0 && isContinued && isCut) return
      const packet = join(piece, endsPacket || n < pieces.length - 1)
      if (packet === undefined) return
      packets++
      // The second is the tags.
      if (packets > 2 && packet.length > 0) ended.push(packet)
    })
    return ended
  }

  const playPage = (page: OggPage.OggPage) => {
    const ended = packetsOf(page)
    const ticks = ended.reduce((sum, packet) => sum + ticksOf(packet), 0)
    const start = page.granule - ticks
    ended.forEach((packet, n) => {
      if (page.granule < 0) track?.play(packet, {})
      // The last page may say that its last packet is not to be heard whole, so where it begins is not known.
      else if (page.isLast) track?.play(packet, n === ended.length - 1 ? { endTick: page.granule } : {})
      else track?.play(packet, n === 0 ? { tick: start } : {})
    })
  }

  const take = (page: OggPage.OggPage) => {
    if (page.isFirst) return beginStream(page)
    if (track === undefined) return lose(others.length === 0 ? headerless : otherCodec(others))
    others = []
    if (page.serial === serial) playPage(page)
  }

  const findPage = (bytes: Uint8Array): boolean => {
    let at = isSearching ? 0 : 1
    while (at < bytes.length && !OggPage.beginsAt(bytes, at)) at++
    if (!isSearching) listener.onTrouble(damaged)
    isSearching = at >= bytes.length
    searched = isSearching ? searched + at : 0
    window.drop(at)
    if (searched > LONGEST_SEARCH) lose(hopeless)
    return !isSearching
  }

  const step = (): boolean => {
    const bytes = window.view()
    if (isLost || bytes.length === 0) return false
    const page = isSearching ? "Damaged" : OggPage.parse(bytes)
    if (page === "Incomplete") return false
    if (page === "Damaged") return findPage(bytes)
    take(page)
    window.drop(page.length)
    return true
  }

  return {
    read: (bytes) => {
      if (isLost) return
      window.append(bytes)
      while (step());
    },
    close: () => {
      track?.close()
      track = undefined
      isLost = true
    }
  }
}

const MOST_NAMED = 4

/** What the first packet of a stream is, as far as its name goes. */
const codecOf = (head: Uint8Array): string =>
  signatures.find(({ signature }) => OpusTrack.startsWith(head, signature))?.name ?? "an unknown codec"

const signatures = [
  { signature: "\u0001vorbis", name: "Vorbis" },
  { signature: "\u007fFLAC", name: "FLAC" },
  { signature: "Speex   ", name: "Speex" },
  { signature: "\u0080theora", name: "Theora" }
]

const trouble = (reason: AudioTrouble["reason"], detail: string, goesOn = false): AudioTrouble =>
  new AudioTrouble({ reason, detail, goesOn })

const damaged = trouble("Undecodable", "A part of the Ogg recording is damaged and was left out.", true)
const hopeless = trouble("Undecodable", "The Ogg recording is damaged: nothing in it can be understood any more.")
const otherCodec = (names: ReadonlyArray<string>): AudioTrouble =>
  trouble("Unsupported", `An Ogg recording with ${names.join(", ")} is not supported: it must have Opus.`)
