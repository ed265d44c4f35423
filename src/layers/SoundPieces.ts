/**
 * What becomes sound of one voice, in order: where each piece has its place, while something else decodes it. Objects are used again.
 */

/** Ticks are of 48 kHz. */
export interface SoundPiece {
  /** Where it begins, and where what came before it ends. */
  start: number
  end: number
  /** When its packet came: ms of the monotonic clock. */
  atMs: number
  audioLevel: number | undefined
  isConcealed: boolean
  /** To find out whether it is as silent as its level says. */
  isProbed: boolean
  /** What it sounds like without being decoded, and its packet. */
  shown: Float32Array | undefined
  packet: Uint8Array
}

export interface SoundPieces {
  /** The newest from now on; `end`: what of it lies before that is sound already. */
  readonly add: (start: number, end: number, atMs: number) => SoundPiece
  /** The newest is not decoded, but waits for its turn. The packet may be reused. */
  readonly keep: (packet: Uint8Array, shown: Float32Array) => void
  readonly first: () => SoundPiece | undefined
  /** Takes the oldest away; valid until the next is added. */
  readonly take: () => SoundPiece
  readonly count: () => number
}

const none = new Uint8Array(0)

const makePiece = (): SoundPiece => ({
  start: 0,
  end: 0,
  atMs: 0,
  audioLevel: undefined,
  isConcealed: false,
  isProbed: false,
  shown: undefined,
  packet: none
})

/** Grows with what is away at one time: some tens of milliseconds. */
export const make = (): SoundPieces => {
  let pieces = [makePiece()]
  let oldest = 0
  let count = 0
  const at = (n: number): SoundPiece => {
    const piece = pieces[(oldest + n) % pieces.length]
    if (piece === undefined) throw new RangeError("no piece is there")
    return piece
  }
  return {
    add: (start, end, atMs) => {
      if (count === pieces.length) {
        pieces = Array.from({ length: 2 * count }, (_, n) => (n < count ? at(n) : makePiece()))
        oldest = 0
      }
      const piece = at(count++)
      piece.start = start
      piece.end = end
      piece.atMs = atMs
      piece.audioLevel = undefined
      piece.isConcealed = false
      piece.isProbed = false
      piece.shown = undefined
      piece.packet = none
      return piece
    },
    keep: (packet, shown) => {
      const piece = at(count - 1)
      piece.packet = Uint8Array.from(packet)
      piece.shown = shown
    },
    first: () => (count === 0 ? undefined : at(0)),
    take: () => {
      const piece = at(0)
      oldest = (oldest + 1) % pieces.length
      count--
      return piece
    },
    count: () => count
  }
}
