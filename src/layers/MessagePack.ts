/**
 * MessagePack from the network, as moshi-server and its clients write it: one map of plain values, and of lists of plain values.
 *
 * https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { decode } from "@msgpack/msgpack"
import { Option } from "effect"

/** Messages have two or three. */
const MOST_MEMBERS = 16
/** What no value begins with. */
const NEVER = 0xc1
/** First byte of a map and of a list with up to 15 members, and of those that count in two bytes; in four it is one more. */
const MAP = { short: 0x80, wide: 0xde } as const
const LIST = { short: 0x90, wide: 0xdc } as const
/** Texts and bytes, by their first byte: how many bytes of length follow it. */
const LENGTHS = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4]
])
/** Other plain values, by their first byte: how many bytes they have with it. */
const SIZES = new Map([
  ...[0xc0, 0xc2, 0xc3].map((head) => [head, 1] as const),
  ...[0xcc, 0xd0].map((head) => [head, 2] as const),
  ...[0xcd, 0xd1].map((head) => [head, 3] as const),
  ...[0xca, 0xce, 0xd2].map((head) => [head, 5] as const),
  ...[0xcb, 0xcf, 0xd3].map((head) => [head, 9] as const)
])
/** As `SIZES`, small numbers and short texts included; 0: no plain value, or one of `LENGTHS`. */
const sizes = Uint8Array.from({ length: 256 }, (_, head) => {
  if (head < 0x80 || head >= 0xe0) return 1
  return head >= 0xa0 && head < 0xc0 ? 1 + (head & 31) : (SIZES.get(head) ?? 0)
})

/**
 * The map in these bytes; nothing where they are none, or hold lists in lists. Never throws, and takes no more memory than some times the
 * bytes: a decoder makes room for as many members as a list claims to have, and a few bytes of lists in lists claim gigabytes.
 */
export const readMap = (bytes: Uint8Array): Option.Option<unknown> => {
  if (!isFlatMap(bytes)) return Option.none()
  try {
    return Option.some(decode(bytes))
  } catch {
    return Option.none()
  }
}

const isFlatMap = (bytes: Uint8Array): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  /** A number of so many bytes; more than there can be where they are not there. */
  const number = (from: number, width: number): number => {
    if (from + width > bytes.length) return Number.POSITIVE_INFINITY
    return width === 1 ? view.getUint8(from) : width === 2 ? view.getUint16(from) : view.getUint32(from)
  }
  /** Goes into a map or list, and says how many members it has; `undefined` where there is none. */
  const enter = ({ short, wide }: typeof MAP | typeof LIST): number | undefined => {
    const head = bytes[at] ?? NEVER
    const width = head === wide ? 2 : head === wide + 1 ? 4 : 0
    if (width === 0 && (head & 0xf0) !== short) return undefined
    const count = width === 0 ? head & 15 : number(at + 1, width)
    at += 1 + width
    return count
  }
  /** Bytes of a text or of bytes; 0: neither. */
  const lengthy = (head: number): number => {
    const width = LENGTHS.get(head)
    return width === undefined ? 0 : 1 + width + number(at + 1, width)
  }
  /** Goes behind so many plain values; `false` where they are not there. */
  const pass = (count: number): boolean => {
    for (let n = 0; n < count; n++) {
      const head = bytes[at] ?? NEVER
      const size = sizes[head] || lengthy(head)
      at += size
      if (size === 0 || at > bytes.length) return false
    }
    return true
  }

  const members = enter(MAP)
  if (members === undefined || members > MOST_MEMBERS) return false
  for (let n = 0; n < members; n++) {
    if (!pass(1) || !pass(enter(LIST) ?? 1)) return false
  }
  return true
}
