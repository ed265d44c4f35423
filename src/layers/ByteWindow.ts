/**
 * Bytes of a stream that are not understood yet: however they are cut, whoever parses them sees them in one piece.
 */

export interface ByteWindow {
  readonly append: (bytes: Uint8Array) => void
  /** All that is there, valid until the next `append`. */
  readonly view: () => Uint8Array
  /** Goes on behind so many bytes; what of them is not there yet is left out when it comes, and never kept. */
  readonly drop: (count: number) => void
}

/** Memory beyond this is given back when the window is empty: one large message must not cost for ever. */
const KEPT_BYTES = 65_536

/** An empty window. It holds what its parser leaves in it, so the parser has to bound what it waits for. */
export const make = (): ByteWindow => {
  let bytes = new Uint8Array(1024)
  let start = 0
  let end = 0
  let toDrop = 0

  const reserve = (count: number) => {
    if (end + count <= bytes.length) return
    const kept = bytes.subarray(start, end)
    if (kept.length + count > bytes.length) {
      const larger = new Uint8Array(2 * (kept.length + count))
      larger.set(kept)
      bytes = larger
    } else bytes.set(kept)
    end = kept.length
    start = 0
  }

  return {
    append: (added) => {
      const left = Math.min(toDrop, added.length)
      toDrop -= left
      if (start === end) {
        start = end = 0
        if (bytes.length > KEPT_BYTES) bytes = new Uint8Array(KEPT_BYTES)
      }
      reserve(added.length - left)
      bytes.set(added.subarray(left), end)
      end += added.length - left
    },
    view: () => bytes.subarray(start, end),
    drop: (count) => {
      const here = Math.min(count, end - start)
      start += here
      toDrop += count - here
    }
  }
}
