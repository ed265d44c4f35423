/**
 * Blocks of Matroska and WebM, and the numbers in them (RFC 8794 §4, RFC 9559 §10).
 */

export interface WebmBlock {
  readonly track: number
  /** Against the cluster's, in its unit. */
  readonly timestamp: number
  readonly frames: ReadonlyArray<Uint8Array>
}

/** Bytes of the number that begins with `first`; 9 where no number begins so. */
export const widthOf = (first: number): number => Math.clz32(first) - 23

/** A number of variable width at `at`, without its marker; undefined when it is not there or damaged, −1 when all its bits are set ("unknown"). */
export const numberAt = (bytes: Uint8Array, at: number): number | undefined => {
  const first = bytes[at] ?? 0
  const width = widthOf(first)
  if (width > 8 || at + width > bytes.length) return undefined
  const mask = 0xff >> width
  let value = first & mask
  let isUnknown = value === mask
  for (let n = 1; n < width; n++) {
    const byte = bytes[at + n] ?? 0
    value = value * 256 + byte
    isUnknown &&= byte === 0xff
  }
  return isUnknown ? -1 : value
}

/** An unsigned integer, big-endian; of one that is longer than 8 bytes the first 8. */
export const unsigned = (bytes: Uint8Array): number =>
  bytes.subarray(0, 8).reduce((value, byte) => value * 256 + byte, 0)

/** The number of the track a block belongs to. */
export const trackOf = (block: Uint8Array): number | undefined => numberAt(block, 0)

/** Takes a block apart; undefined when its parts do not fit into it. The frames are views. */
export const parse = (block: Uint8Array): WebmBlock | undefined => {
  const track = numberAt(block, 0)
  const at = widthOf(block[0] ?? 0)
  const flags = block[at + 2]
  if (track === undefined || flags === undefined) return undefined
  const timestamp = (((block[at] ?? 0) << 24) >> 16) | (block[at + 1] ?? 0)
  const frames = framesOf(block.subarray(at + 3), (flags >> 1) & 3)
  return frames === undefined ? undefined : { track, timestamp, frames }
}

const framesOf = (body: Uint8Array, lacing: number): ReadonlyArray<Uint8Array> | undefined => {
  if (lacing === 0) return [body]
  const count = (body[0] ?? 0) + 1
  if (body.length === 0) return undefined
  if (lacing === 2) return cut(body.subarray(1), new Array<number>(count - 1).fill((body.length - 1) / count))
  return lacing === 1 ? xiphLaced(body, count) : ebmlLaced(body, count)
}

/** The sizes of all frames but the last, which is the rest. */
const cut = (body: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> | undefined => {
  const frames: Array<Uint8Array> = []
  let at = 0
  for (const size of sizes) {
    if (!Number.isInteger(size) || size < 0 || at + size > body.length) return undefined
    frames.push(body.subarray(at, at + size))
    at += size
  }
  frames.push(body.subarray(at))
  return frames
}

const xiphLaced = (body: Uint8Array, count: number): ReadonlyArray<Uint8Array> | undefined => {
  const sizes: Array<number> = []
  let at = 1
  while (sizes.length < count - 1) {
    let size = 0
    let byte = 255
    while (byte === 255) {
      byte = body[at++] ?? -1
      if (byte < 0) return undefined
      size += byte
    }
    sizes.push(size)
  }
  return cut(body.subarray(at), sizes)
}

/** The first size as it is, the others as differences. */
const ebmlLaced = (body: Uint8Array, count: number): ReadonlyArray<Uint8Array> | undefined => {
  const sizes: Array<number> = []
  let at = 1
  let size = 0
  while (sizes.length < count - 1) {
    const width = widthOf(body[at] ?? 0)
    const value = numberAt(body, at)
    if (value === undefined) return undefined
    // All bits set is a difference like any other.
    const stored = value === -1 ? 2 ** (7 * width) - 1 : value
    size = sizes.length === 0 ? stored : size + stored - (2 ** (7 * width - 1) - 1)
    sizes.push(size)
    at += width
  }
  return cut(body.subarray(at), sizes)
}
