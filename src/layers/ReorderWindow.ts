/**
 * Puts RTP packets back into the order they were sent in. Packets in order pass through untouched and uncopied; behind a gap at most 16
 * are held, for at most 40 ms.
 */
import type { RtpPacket } from "../services/PeerConnection.ts"

/** `lost` packets before this one never came. */
export type Deliver = (packet: RtpPacket, atMs: number, lost: number) => void

export interface WindowCounters {
  packets: number
  lost: number
  reordered: number
  late: number
}

export interface ReorderWindow {
  readonly push: (packet: RtpPacket, atMs: number) => void
  /** Gives up on gaps somebody has waited behind for `WAIT_MS`. */
  readonly tick: (atMs: number) => void
  /** A packet is passed over: it came, and what is missing before the next one was not lost. */
  readonly passOver: () => void
  /** Whether packets are held behind a gap. */
  readonly isWaiting: () => boolean
}

/** A network that reorders does so within a few packets; more waiting would only delay what comes after a real loss. */
export const WAIT_MS = 40
/** 320 ms of 20 ms packets: more than can arrive in order within `WAIT_MS`. */
const CAPACITY = 16
/** Sequence numbers further off than this are a sender that started anew, once a second packet agrees (RFC 3550 appendix A.1). */
const MAX_MISORDER = 100
const MAX_DROPOUT = 3000
/** Packets of which is known what they were, in case they come again from another source: the two ends of a change overlap by a few. */
const RECENT = 32
/** Stragglers of the stream before the last SSRC change are not a change back, once a few packets have confirmed the change. */
const OLD_SOURCE_MS = 1000
const CONFIRMED = 3

interface Held {
  readonly packet: RtpPacket
  readonly atMs: number
}

/** Makes the window of one voice. `counters` belong to the caller, who shows them. */
export const make = (deliver: Deliver, counters: WindowCounters): ReorderWindow => {
  const held: Array<Held | undefined> = new Array(CAPACITY).fill(undefined)
  let holding = 0
  /** Sequence number that comes next, and the same counted on beyond 16 bit. */
  let next = 0
  let source: number | undefined
  let oldSource: number | undefined
  let changedAtMs = 0
  let sinceChange = 0
  /** Where a sender that started anew would go on, and what it began with. */
  let suspect = -1
  let suspected: Held | undefined
  /** Sequence number and timestamp of those handed on last. */
  const recent = new Float64Array(RECENT).fill(-1)
  let newest = 0
  /** Since the last packet. */
  let passedOver = 0

  const identity = ({ sequenceNumber, timestamp }: RtpPacket) => sequenceNumber * 2 ** 32 + (timestamp >>> 0)
  const hand = (packet: RtpPacket, atMs: number, lost: number) => {
    recent[newest++ % RECENT] = identity(packet)
    deliver(packet, atMs, lost)
  }

  /** Everything held that follows without a gap. */
  const drain = () => {
    let one = held[next % CAPACITY]
    while (one !== undefined) {
      held[next % CAPACITY] = undefined
      holding--
      next++
      hand(one.packet, one.atMs, 0)
      one = held[next % CAPACITY]
    }
  }

  /** Skips the gap before the oldest packet held. */
  const giveUp = () => {
    let lost = 0
    while (held[next % CAPACITY] === undefined) {
      next++
      lost++
    }
    const one = held[next % CAPACITY]
    held[next % CAPACITY] = undefined
    holding--
    next++
    counters.lost += lost
    if (one !== undefined) hand(one.packet, one.atMs, lost)
    drain()
  }

  const restart = (packet: RtpPacket, atMs: number) => {
    while (holding > 0) giveUp()
    source = packet.ssrc
    next = packet.sequenceNumber + 1
    suspect = -1
    hand(packet, atMs, 0)
  }

  /** A second packet agrees that the sender has started anew: the first one was its beginning. */
  const confirm = (packet: RtpPacket, atMs: number) => {
    if (suspected !== undefined) {
      counters.late--
      restart(suspected.packet, suspected.atMs)
      suspected = undefined
      next++
      hand(packet, atMs, 0)
    } else restart(packet, atMs)
  }

  const waitedBehindGap = (atMs: number): boolean => {
    for (const one of held) if (one !== undefined && atMs - one.atMs >= WAIT_MS) return true
    return false
  }

  const tick = (atMs: number) => {
    while (holding > 0 && waitedBehindGap(atMs)) giveUp()
  }

  const changeSource = (packet: RtpPacket, atMs: number) => {
    if (packet.ssrc === oldSource && sinceChange >= CONFIRMED && atMs - changedAtMs < OLD_SOURCE_MS) {
      counters.late++
      return
    }
    // Another source that repeats what the last one sent has not begun yet.
    if (recent.includes(identity(packet))) {
      counters.late++
      return
    }
    oldSource = source
    changedAtMs = atMs
    sinceChange = 0
    restart(packet, atMs)
  }

  /** The stream goes on with this packet. After many that were passed over, nobody knows by its number whether it is ahead or behind. */
  const goOn = ({ sequenceNumber }: RtpPacket) => {
    const ahead = ((sequenceNumber - next) << 16) >> 16
    const isAhead = passedOver > MAX_MISORDER || ahead > 0
    passedOver = 0
    if (!isAhead) return
    while (holding > 0) giveUp()
    next = sequenceNumber
  }

  /** `ahead` packets are missing before this one. */
  const hold = (packet: RtpPacket, atMs: number, ahead: number) => {
    const place = next + ahead
    if (ahead >= CAPACITY) {
      while (holding > 0) giveUp()
      const lost = place - next
      counters.lost += lost
      next = place + 1
      hand(packet, atMs, lost)
      return
    }
    const slot = place % CAPACITY
    if (held[slot] !== undefined) {
      counters.late++
      return
    }
    held[slot] = lent(packet, atMs)
    holding++
  }

  return {
    push: (packet, atMs) => {
      if (packet.wasPassedOver !== true) counters.packets++
      if (packet.ssrc !== source) return changeSource(packet, atMs)
      if (passedOver > 0) goOn(packet)
      sinceChange++
      const ahead = ((packet.sequenceNumber - next) << 16) >> 16
      if (ahead === 0) {
        if (holding > 0) counters.reordered++
        next++
        suspect = -1
        hand(packet, atMs, 0)
        if (holding > 0) drain()
      } else if (ahead < -MAX_MISORDER || ahead > MAX_DROPOUT) {
        if (packet.sequenceNumber === suspect) return confirm(packet, atMs)
        suspect = (packet.sequenceNumber + 1) & 0xffff
        suspected = lent(packet, atMs)
        counters.late++
      } else if (ahead < 0) counters.late++
      else hold(packet, atMs, ahead)
      if (holding > 0) tick(atMs)
    },
    tick,
    passOver: () => {
      counters.packets++
      passedOver++
    },
    isWaiting: () => holding > 0
  }
}

/** The payload is only lent to us; `slice` of a Buffer would not copy. */
const lent = (packet: RtpPacket, atMs: number): Held => ({
  packet: { ...packet, payload: new Uint8Array(packet.payload) },
  atMs
})
