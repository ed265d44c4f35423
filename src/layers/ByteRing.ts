/**
 * Opus packets in one preallocated piece of memory: the newest stay, the oldest are overwritten. No object per packet.
 */

import * as ByteViews from "./ByteViews.ts"

/** One packet: valid until the next `next`, of whichever ring. */
export interface RingRecord {
  position: number
  packet: Uint8Array
}

export interface ByteRing {
  /** Keeps a packet whose audio begins at `position` (samples); positions grow. One larger than an eighth of the ring is not kept. */
  readonly append: (position: number, packet: Uint8Array) => void
  /**
   * Reads from so many packets before the newest one that begins at or before `position`, or from the oldest there is; goes on with what
   * is appended meanwhile.
   */
  readonly from: (position: number, before: number) => RingReader
  /** Where the audio of the oldest packet begins; `undefined` when there is none. */
  readonly oldest: () => number | undefined
  readonly clear: () => void
  readonly counters: Readonly<RingCounters>
}

export interface RingReader {
  /** The next packet, always in the same object. Packets that were overwritten meanwhile are skipped. */
  readonly next: () => RingRecord | undefined
}

export interface RingCounters {
  /** Held now, with what belongs to a packet. */
  bytes: number
  /** Packets that were overwritten. */
  overwritten: number
}

/** Length (16 bit) and position (64 bit float) before each packet. */
const HEADER = 10
/** In place of a length: empty up to the end of the memory. */
const SKIP = 0xffff

/** Of so many packets one is marked: whoever looks for a place passes over the others, of which a ring may hold many thousands. */
const MARK_EVERY = 64
/** Where packets are read, one after the other; a larger one has memory of its own. */
const packets = ByteViews.make(new Uint8Array(2048))

/** Makes a ring of `size` bytes; the memory is allocated with the first packet. */
export const make = (size: number): ByteRing => {
  const counters: RingCounters = { bytes: 0, overwritten: 0 }
  let bytes = new Uint8Array(0)
  let view = new DataView(bytes.buffer)
  // Both are counted on for ever; the place in memory is the remainder by `size`. Packets lie from tail to head, none across the end.
  let head = 0
  let tail = 0
  let appended = 0
  /** Where marked packets lie, oldest first; some of the first may be overwritten. */
  const marks: Array<number> = []

  const lengthAt = (at: number): number => view.getUint16(at % size)
  const positionAt = (at: number): number => view.getFloat64((at % size) + 2)
  /** `at`, or the start of the memory when nothing but its empty end is there. */
  const settle = (at: number): number => {
    const rest = size - (at % size)
    return at < head && (rest < HEADER || lengthAt(at) === SKIP) ? at + rest : at
  }
  const after = (at: number): number => settle(at + HEADER + lengthAt(at))

  /** Makes the memory from head to `end` free. */
  const claim = (end: number) => {
    while (tail < head && tail < end - size) {
      tail = after(tail)
      counters.overwritten++
    }
  }
  const skipEnd = (rest: number) => {
    claim(head + rest)
    if (rest >= HEADER) view.setUint16(head % size, SKIP)
    head += rest
    if (tail + rest === head) tail = head
  }

  const mark = () => {
    while ((marks[0] ?? tail) < tail) marks.shift()
    marks.push(head)
  }
  /** A place at least so many packets before the newest one that begins at or before `position`, or the oldest there is. */
  const placeBefore = (position: number, before: number): number => {
    for (let n = marks.length - 1; n >= 0; n--) {
      const at = marks[n] ?? tail
      if (at < tail) break
      if (positionAt(at) <= position) return Math.max(tail, marks[n - Math.ceil(before / MARK_EVERY)] ?? tail)
    }
    return tail
  }

  return {
    append: (position, packet) => {
      const needed = HEADER + packet.length
      if (needed > size / 8) return
      if (bytes.length === 0) {
        bytes = new Uint8Array(size)
        view = new DataView(bytes.buffer)
      }
      const rest = size - (head % size)
      if (rest < needed) skipEnd(rest)
      claim(head + needed)
      if (appended++ % MARK_EVERY === 0) mark()
      const place = head % size
      view.setUint16(place, packet.length)
      view.setFloat64(place + 2, position)
      bytes.set(packet, place + HEADER)
      head += needed
      counters.bytes = head - tail
    },
    from: (position, before) => {
      const last: Array<number> = []
      for (let at = placeBefore(position, before); at < head && positionAt(at) <= position; at = after(at)) {
        if (last.push(at) > before + 1) last.shift()
      }
      let cursor = last[0] ?? tail
      const record: RingRecord = { position: 0, packet: bytes }
      return {
        next: () => {
          cursor = Math.max(settle(cursor), tail)
          if (cursor >= head) return undefined
          const start = (cursor % size) + HEADER
          record.position = positionAt(cursor)
          const length = lengthAt(cursor)
          const packet = packets.of(length)
          // `set` would want a view
          for (let n = 0; n < length; n++) packet[n] = bytes[start + n] ?? 0
          record.packet = packet
          cursor = after(cursor)
          return record
        }
      }
    },
    oldest: () => (tail < head ? positionAt(tail) : undefined),
    clear: () => {
      tail = head
      counters.bytes = 0
    },
    counters
  }
}
