/**
 * StallWatch: whether a session has fallen silent that should be saying something. Plain and synchronous; time is an argument.
 */
import { type AudioFrame, msOfSamples } from "../domain/Audio.ts"

/** Speech that is answered by nothing. People who speak say a word a second; Kyutai's words are half a second late. */
const FIRST_PATIENCE_MS = 2_000
const MOST_PATIENCE_MS = 60_000
/** A word that comes says nothing of what was spoken after it: so much has been sent meanwhile to an engine that does well. */
const DELAY_MS = 700
/** Words are not that far apart. */
const OWED_MS = 1_500
/** Frames: 5 s, more than is sent while a flush takes its time. */
const MOST_BEHIND = 64
/** Nothing was suspected for so long: the next time is a first time. */
const CALM_MS = 60_000
/** An engine that gives signs of life gives them several times a second. */
const STALL_MS = 2_000
/** Engines compute in steps of up to a second. */
const STEP_MS = 1_000

export interface StallWatch {
  /** The session was sent a frame. */
  readonly sent: (frame: AudioFrame, nowMs: number) => void
  /** It said something. */
  readonly answered: (nowMs: number) => void
  /**
   * Only words tell that it is alive, and so much speech before `position` (samples) was sent since the last that there must be more to say of
   * it.
   */
  readonly owes: (position: number) => boolean
  /** All it was sent is said. */
  readonly proven: () => void
  /** It has computed more of what it was sent. */
  readonly progressed: (nowMs: number) => void
  /** It takes audio and gives no sign of life: certain, for an engine that gives them. */
  readonly isStalled: (nowMs: number) => boolean
  /** Nothing was heard of it although somebody spoke: as likely as not nobody said a word. */
  readonly isSuspect: (nowMs: number) => boolean
  /** The suspicion came to nothing: the next one takes twice as long. */
  readonly acquit: (nowMs: number) => void
  /** Until one of the two may be true, ms, if audio goes on to be sent as it is spoken. */
  readonly dueInMs: (nowMs: number) => number
}

/** The watch over one session. `tells`: it gives signs of life, and is suspected of nothing while it does; some begin late. */
export const make = (tells: () => boolean): StallWatch => {
  let unansweredMs = 0
  let unansweredSinceMs = 0
  let patienceMs = FIRST_PATIENCE_MS
  let acquittedMs = Number.NEGATIVE_INFINITY
  let outstandingMs = 0
  let outstandingSinceMs = 0
  /** The newest frames that were sent. */
  const newest: Array<{ readonly position: number; readonly ms: number }> = []
  const behindMs = (position: number) =>
    newest.reduce((sum, frame) => (frame.position >= position ? sum + frame.ms : sum), 0)
  const inMs = (auditedMs: number, sinceMs: number, limitMs: number, stepMs: number, nowMs: number) =>
    Math.max(sinceMs + limitMs - nowMs, stepMs - auditedMs)
  return {
    sent: ({ pcm, position }, nowMs) => {
      if (unansweredMs === 0) unansweredSinceMs = nowMs
      if (outstandingMs === 0) outstandingSinceMs = nowMs
      const ms = msOfSamples(pcm.length)
      unansweredMs += ms
      outstandingMs += ms
      newest.push({ position, ms })
      if (newest.length > MOST_BEHIND) newest.shift()
      if (nowMs - acquittedMs > CALM_MS) patienceMs = FIRST_PATIENCE_MS
    },
    answered: (nowMs) => {
      unansweredMs = Math.min(unansweredMs, DELAY_MS)
      unansweredSinceMs = nowMs
    },
    owes: (position) => !tells() && unansweredMs - behindMs(position) >= OWED_MS,
    proven: () => {
      unansweredMs = 0
    },
    progressed: (nowMs) => {
      outstandingMs = 0
      outstandingSinceMs = nowMs
    },
    isStalled: (nowMs) => tells() && outstandingMs >= STEP_MS && nowMs - outstandingSinceMs >= STALL_MS,
    isSuspect: (nowMs) => !tells() && unansweredMs >= patienceMs && nowMs - unansweredSinceMs >= patienceMs,
    acquit: (nowMs) => {
      unansweredMs = 0
      acquittedMs = nowMs
      patienceMs = Math.min(MOST_PATIENCE_MS, patienceMs * 2)
    },
    dueInMs: (nowMs) => {
      if (tells()) {
        return outstandingMs === 0
          ? Number.POSITIVE_INFINITY
          : inMs(outstandingMs, outstandingSinceMs, STALL_MS, STEP_MS, nowMs)
      }
      return unansweredMs === 0
        ? Number.POSITIVE_INFINITY
        : inMs(unansweredMs, unansweredSinceMs, patienceMs, patienceMs, nowMs)
    }
  }
}
