/**
 * The fence of a room: of our sessions there only the one with the highest rank sends captions.
 *
 * Each tells the room's other services what it is, and each answers: with its own rank where that is higher, else that it yields, which it
 * has done by then. So nothing is said before those who are alive have answered, and a message that is lost is said again. Recorders
 * and bridges get these messages too and pass over them; people do not get them.
 *
 * That nobody else counts has to be shown again wherever somebody may have taken the room unseen: over every new socket, and after this
 * process stood still. Plain and synchronous; time is an argument.
 */
import type { SessionId } from "../domain/Call.ts"
import type { Roster } from "../domain/Roster.ts"
import { outranks, type Rank } from "../domain/Seat.ts"
import type { RankMessage, Sealer } from "./SpreedRank.ts"

export interface SpreedFenceOptions extends Sealer {
  /** `undefined`: nothing is announced for now, and nothing said. */
  readonly rank: () => Rank | undefined
  readonly roster: () => Roster
  readonly send: (to: SessionId, message: RankMessage) => boolean
  /** Somebody else counts; once. */
  readonly onOutranked: (by: Rank) => void
  /** A round trip to the HPB is wanted: `proven` when everything it had for us was read. */
  readonly onDoubt: () => void
}

export interface SpreedFence {
  /** Somebody may count of whom we do not know: nothing is said until it is shown that nobody does. */
  readonly doubt: (nowMs: number) => void
  /** Grows with each doubt. */
  readonly doubts: () => number
  /** A round trip that began behind so many doubts is complete. */
  readonly proven: (doubts: number) => void
  /** The rank has changed. */
  readonly announce: (nowMs: number) => void
  /** Somebody came or went. */
  readonly follow: (nowMs: number) => void
  readonly take: (sender: SessionId, message: RankMessage) => void
  /** About every 250 ms: says again what may be lost, and notices that this process stood still. */
  readonly tick: (nowMs: number) => void
  /** Whether captions may not be sent now. To be asked for each. */
  readonly isMuted: (nowMs: number) => boolean
  readonly outranked: () => Rank | undefined
}

/** A longer sleep of this process may have cost it its room. */
export const STALL_MS = 2_000
/** A session that is alive answers within milliseconds; a frozen one, the recorder and a bridge never do. */
const ANSWER_MS = 500
/** After so long an announcement is repeated to whoever did not answer, then ever more rarely. */
const AGAIN_MS = 250
const LONGEST_AGAIN_MS = 5_000

interface Other {
  hasAnswered: boolean
  saidMs: number
  waitMs: number
}

export const make = (options: SpreedFenceOptions): SpreedFence => {
  const { onDoubt, onOutranked, rank, roster } = options
  const others = new Map<SessionId, Other>()
  let by: Rank | undefined
  let doubts = 0
  let provenDoubts = 0
  /** Nobody is waited for any longer. */
  let untilMs = Number.POSITIVE_INFINITY
  /** Those who were there have answered, or will not: whoever comes now has to wait for us. */
  let isFirst = false
  let seenMs: number | undefined

  const say = (to: SessionId, yields: boolean) => {
    const own = rank()
    const { self } = roster()
    if (own === undefined || self === undefined) return
    options.send(to, options.seal(self, to, { epoch: own.epoch, incarnation: own.incarnation, yields }))
  }
  const announceTo = (session: SessionId, other: Other, nowMs: number) => {
    other.saidMs = nowMs
    if (by === undefined) say(session, false)
  }
  const follow = (nowMs: number) => {
    const { participants, self } = roster()
    for (const session of others.keys()) if (!participants.has(session)) others.delete(session)
    for (const { internal, session } of participants.values()) {
      if (!internal || session === self || others.has(session)) continue
      const other: Other = { hasAnswered: false, saidMs: nowMs, waitMs: AGAIN_MS }
      others.set(session, other)
      announceTo(session, other, nowMs)
    }
  }
  const announce = (nowMs: number) => {
    untilMs = nowMs + ANSWER_MS
    isFirst = false
    others.clear()
    follow(nowMs)
  }
  /** The HPB's first list of services names ourselves too. */
  const isAnswered = () => {
    const { participants, self } = roster()
    const own = self === undefined ? undefined : participants.get(self)
    return own?.internal === true && [...others.values()].every(({ hasAnswered }) => hasAnswered)
  }
  const doubt = (nowMs: number) => {
    doubts++
    seenMs = nowMs
    announce(nowMs)
    onDoubt()
  }
  const notice = (nowMs: number) => {
    const stoodMs = nowMs - (seenMs ?? nowMs)
    seenMs = nowMs
    if (stoodMs > STALL_MS) doubt(nowMs)
  }

  return {
    doubt,
    doubts: () => doubts,
    proven: (upTo) => {
      provenDoubts = Math.max(provenDoubts, upTo)
    },
    announce,
    follow,
    take: (sender, message) => {
      const { self } = roster()
      if (self === undefined || !options.isSealed(sender, self, message)) return
      const other = others.get(sender)
      if (other !== undefined) other.hasAnswered = true
      const own = rank()
      if (own === undefined) return
      if (by === undefined && !message.yields && outranks(message, own)) {
        by = { epoch: message.epoch, incarnation: message.incarnation }
        onOutranked(by)
      }
      // An answer is not answered.
      if (message.yields) return
      if (by !== undefined) say(sender, true)
      else if (outranks(own, message)) say(sender, false)
    },
    tick: (nowMs) => {
      notice(nowMs)
      for (const [session, other] of others) {
        if (other.hasAnswered || nowMs - other.saidMs < other.waitMs) continue
        other.waitMs = Math.min(LONGEST_AGAIN_MS, other.waitMs * 2)
        announceTo(session, other, nowMs)
      }
    },
    isMuted: (nowMs) => {
      notice(nowMs)
      if (by !== undefined || rank() === undefined || provenDoubts < doubts) return true
      isFirst ||= nowMs >= untilMs || isAnswered()
      return !isFirst
    },
    outranked: () => by
  }
}
