/**
 * WebM with Opus as a browser's recorder sends it: a beginning, then clusters whose ends nobody knows.
 */
import { PACKET_MS } from "../../src/layers/SpeechEncoder.ts"

/** A browser begins a cluster at least so often; times in it are 16 bits. */
const CLUSTER_MS = 1000

/** Writes one recording: packets of 20 ms, the first of which begins at `atMs`. */
export const make = (): ((packets: ReadonlyArray<Uint8Array>, atMs: number) => Uint8Array) => {
  let clusterMs: number | undefined
  return (packets, atMs) => {
    const parts: Array<Uint8Array> = clusterMs === undefined ? [beginning] : []
    if (clusterMs === undefined || atMs - clusterMs >= CLUSTER_MS) {
      clusterMs = atMs
      parts.push(cluster(atMs))
    }
    const since = atMs - clusterMs
    packets.forEach((packet, n) => {
      parts.push(blockHeader(packet.length, since + n * PACKET_MS), packet)
    })
    return Buffer.concat(parts)
  }
}

const unknownSize = Buffer.from("01ffffffffffffff", "hex")

const element = (id: string, content: Uint8Array, size = sizeOf(content.length)) =>
  Buffer.concat([Buffer.from(id, "hex"), size, content])

const sizeOf = (length: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(0x1000_0000 + length)
  return bytes
}

const unsigned = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

const cluster = (atMs: number) => element("1f43b675", element("e7", unsigned(atMs)), unknownSize)

/** Track 1, a key frame. */
const blockHeader = (length: number, ms: number) => {
  const header = Buffer.alloc(9)
  header[0] = 0xa3
  header.writeUInt32BE(0x1000_0000 + length + 4, 1)
  header[5] = 0x81
  header.writeInt16BE(ms, 6)
  header[8] = 0x80
  return header
}

const opusHead = () => {
  const head = Buffer.alloc(19)
  head.write("OpusHead", "latin1")
  head[8] = 1
  head[9] = 1
  head.writeUInt16LE(312, 10)
  head.writeUInt32LE(48_000, 12)
  return head
}

const track = Buffer.concat([
  element("d7", Buffer.from([1])),
  element("86", Buffer.from("A_OPUS")),
  element("63a2", opusHead())
])

const beginning = Buffer.concat([
  element("1a45dfa3", element("4282", Buffer.from("webm"))),
  Buffer.from("18538067", "hex"),
  unknownSize,
  element("1549a966", element("2ad7b1", unsigned(1_000_000))),
  element("1654ae6b", element("ae", track))
])
