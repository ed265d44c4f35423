/**
 * How well one source is received, in the words of a receiver report: RFC 3550 §6.4.1, appendices A.3 and A.8.
 */
export interface Reception {
  /** A packet came, and not for the second time. */
  readonly note: (sequenceNumber: number, timestamp: number, atMs: number) => void
  /** A packet came of which nothing is proven: believed as soon as `note` is told of a later one, and as far as there was room for it before that. */
  readonly suppose: () => void
  /** What is to be told of all packets, and of those since the last report. */
  readonly report: () => ReceptionReport
}

export interface ReceptionReport {
  /** In 1/256, since the last report. */
  readonly fractionLost: number
  /** Since the beginning. */
  readonly packetsLost: number
  /** Sequence number of the newest packet, above it how often they began anew. */
  readonly highestSequence: number
  /** In the source's clock. */
  readonly jitter: number
}

/** Opus' clock, whatever it was recorded with (RFC 7587). */
const clockPerMs = 48
/** The field has 24 bit with a sign. */
const mostLost = 0x7f_ffff

export const make = (): Reception => {
  /** Counted on beyond 16 bit. */
  let first = -1
  let highest = -1
  let received = 0
  let supposed = 0
  let expectedBefore = 0
  let receivedBefore = 0
  /** An object, because a number that closures share is boxed at every change. */
  const way = {
    /** Arrival less timestamp, modulo 32 bit. */
    transit: 0,
    jitter: 0
  }
  return {
    note: (sequenceNumber, timestamp, atMs) => {
      const nowTransit = (Math.floor(atMs * clockPerMs) - timestamp) | 0
      if (first < 0) {
        first = highest = sequenceNumber
        way.transit = nowTransit
      }
      received++
      const ahead = ((sequenceNumber - highest) << 16) >> 16
      if (ahead < 0) return
      received += Math.min(supposed, Math.max(0, ahead - 1))
      supposed = 0
      highest += ahead
      way.jitter += (Math.abs((nowTransit - way.transit) | 0) - way.jitter) / 16
      way.transit = nowTransit
    },
    suppose: () => {
      supposed++
    },
    report: () => {
      const expected = highest - first + 1
      const expectedNow = expected - expectedBefore
      const lostNow = expectedNow - (received - receivedBefore)
      expectedBefore = expected
      receivedBefore = received
      return {
        fractionLost: lostNow <= 0 ? 0 : Math.min(255, Math.floor((lostNow * 256) / expectedNow)),
        packetsLost: Math.min(mostLost, Math.max(0, expected - received)),
        highestSequence: highest % 2 ** 32,
        jitter: Math.floor(way.jitter)
      }
    }
  }
}
