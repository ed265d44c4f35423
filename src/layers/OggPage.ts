/**
 * Pages of an Ogg stream (RFC 3533 §6).
 */

export interface OggPage {
  /** The packet in which the last page of this stream ended goes on. */
  readonly isContinued: boolean
  readonly isFirst: boolean
  readonly isLast: boolean
  /** Where the last packet that ends here ends; −1 when none does. */
  readonly granule: number
  readonly serial: number
  /** The last one goes on in the next page unless `endsPacket`. */
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly endsPacket: boolean
  /** Bytes of the page. */
  readonly length: number
}

const HEADER = 27
const CAPTURE = [0x4f, 0x67, 0x67, 0x53]

/** Whether "OggS", or as much of it as is there, stands at `at`. */
export const beginsAt = (bytes: Uint8Array, at: number): boolean =>
  CAPTURE.every((byte, n) => at + n >= bytes.length || bytes[at + n] === byte)

/** Reads the page that begins with the first byte. Its pieces are views. A page has at most 65,307 bytes. */
export const parse = (bytes: Uint8Array): OggPage | "Incomplete" | "Damaged" => {
  if (!beginsAt(bytes, 0)) return "Damaged"
  if (bytes.length < HEADER) return "Incomplete"
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint8(4) !== 0) return "Damaged"
  const segments = view.getUint8(26)
  if (bytes.length < HEADER + segments) return "Incomplete"
  const table = bytes.subarray(HEADER, HEADER + segments)
  const length = HEADER + segments + table.reduce((sum, lace) => sum + lace, 0)
  if (bytes.length < length) return "Incomplete"
  if (view.getUint32(22, true) !== checksum(bytes.subarray(0, length))) return "Damaged"
  const flags = view.getUint8(5)
  return {
    isContinued: (flags & 1) !== 0,
    isFirst: (flags & 2) !== 0,
    isLast: (flags & 4) !== 0,
    granule: Number(view.getBigInt64(6, true)),
    serial: view.getUint32(14, true),
    pieces: cut(bytes.subarray(HEADER + segments, length), table),
    endsPacket: (table.at(-1) ?? 0) < 255,
    length
  }
}

/** A piece ends with the first lace below 255. */
const cut = (body: Uint8Array, table: Uint8Array): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  let start = 0
  let end = 0
  for (const lace of table) {
    end += lace
    if (lace === 255) continue
    pieces.push(body.subarray(start, end))
    start = end
  }
  if (start < end) pieces.push(body.subarray(start))
  return pieces
}

/** CRC-32 as Ogg has it: polynomial 0x04c11db7, most significant bit first, no inversion. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let register = byte << 24
  for (let bit = 0; bit < 8; bit++) register = (register << 1) ^ (register < 0 ? 0x04c11db7 : 0)
  return register
})

/** Of a page, its own checksum taken as 0. */
export const checksum = (page: Uint8Array): number => {
  let crc = 0
  for (let n = 0; n < page.length; n++) {
    const byte = n >= 22 && n < 26 ? 0 : (page[n] ?? 0)
    crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ byte] ?? 0)
  }
  return crc >>> 0
}
