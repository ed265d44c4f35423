/**
 * Where the speakers of a call are: pages drop captions of speakers who are not in the call (yet, or any more).
 */
import type { SessionId } from "../domain/Call.ts"
import type { SignalingSession } from "../services/Signaling.ts"
import { isInCall, keyOf } from "./CaptionAudience.ts"

/** A speaker who is not in the call (yet) is waited for so long; after a rejoin people come back within seconds. */
export const absentMs = 30_000
/** Speakers who left, remembered so that their late words are known for what they are; the oldest are forgotten. */
const maxLeft = 1_000

export interface CaptionSpeakers {
  /** A speaker as Nextcloud knows it: survives a new session id. `undefined` while the roster does not show it. */
  readonly keyOf: (speaker: SessionId) => string | undefined
  /** The session id under which pages know the speaker now; `undefined` when they do not. */
  readonly whereIs: (speaker: SessionId, key: string) => SessionId | undefined
  /** The speaker left the call. `false`: after a rejoin everybody comes back one by one, under a new id; that is no leaving. */
  readonly left: (speaker: SessionId, nowMs: number) => boolean
  /** The speaker has left and has not come back. */
  readonly isGone: (speaker: SessionId, key: string) => boolean
  readonly rejoined: (nowMs: number) => void
}

export const make = (session: SignalingSession): CaptionSpeakers => {
  const gone = new Set<SessionId>()
  /** Who has been in the call since the session was joined anew. */
  const back = new Set<SessionId>()
  let patientUntilMs = 0

  const whereIs: CaptionSpeakers["whereIs"] = (speaker, key) => {
    const { participants } = session.roster()
    const same = participants.get(speaker)
    if (same !== undefined && isInCall(same)) {
      if (patientUntilMs > 0) back.add(speaker)
      return speaker
    }
    for (const other of participants.values()) if (keyOf(other) === key && isInCall(other)) return other.session
    return undefined
  }
  return {
    keyOf: (speaker) => {
      const known = session.roster().participants.get(speaker)
      return known === undefined ? undefined : keyOf(known)
    },
    whereIs,
    left: (speaker, nowMs) => {
      if (nowMs >= patientUntilMs) back.clear()
      if (nowMs < patientUntilMs && !back.has(speaker)) return false
      gone.add(speaker)
      for (const oldest of gone) {
        if (gone.size <= maxLeft) break
        gone.delete(oldest)
      }
      return true
    },
    isGone: (speaker, key) => {
      if (whereIs(speaker, key) !== undefined) gone.delete(speaker)
      return gone.has(speaker)
    },
    rejoined: (nowMs) => {
      gone.clear()
      back.clear()
      patientUntilMs = nowMs + absentMs
    }
  }
}
