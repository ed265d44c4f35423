/**
 * Where in its stream a packet of one source stands, and whether it was there before: RFC 3711 §3.3.1 and §3.3.2.
 *
 * Sequence numbers have 16 bit and begin again every 22 minutes of speech; how often they did (the rollover counter) is sent by nobody and is
 * part of what protects a packet. Of packets that were not authenticated nothing is kept: whoever can send here must not move the counter.
 */
export interface SrtpIndex {
  /** The index (rollover counter · 65536 + sequence number) of which a packet most likely is; negative: of before the stream began. */
  readonly guess: (sequenceNumber: number) => number
  /** Whether a packet of that index may still come: not from before the window, and not a second time. */
  readonly isFresh: (index: number) => boolean
  /** A packet of that index was authentic. */
  readonly accept: (index: number) => void
  /** The same, but it counts as one that may still come. */
  readonly reach: (index: number) => void
}

/** 2.5 s of 20 ms packets, twice what RFC 3711 asks for; whatever is older is of no use to a listener. */
const windowPackets = 128
const half = 0x8000

/** `first`: the index of its first authentic packet. */
export const make = (first: number): SrtpIndex => {
  /** The newest index that came, of those which share a remainder. */
  const seen = new Float64Array(windowPackets).fill(-1)
  let highest = first
  seen[first % windowPackets] = first
  const reach = (index: number) => {
    if (index > highest) highest = index
  }
  return {
    guess: (sequenceNumber) => {
      const ahead = (sequenceNumber - highest) & 0xffff
      return highest + (ahead < half ? ahead : ahead - 2 * half)
    },
    isFresh: (index) => index >= 0 && index > highest - windowPackets && seen[index % windowPackets] !== index,
    accept: (index) => {
      seen[index % windowPackets] = index
      reach(index)
    },
    reach
  }
}
