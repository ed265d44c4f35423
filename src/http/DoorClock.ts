/**
 * What a streaming session may not do for too long: say nothing, not say who it is, not begin, not end.
 */
import type { Event, Failure } from "./Dialect.ts"

export interface Overdue {
  readonly failure: Failure
  readonly detail: string
}

/** What the clock has to know at the moment. */
export interface Progress {
  readonly isAdmitted: boolean
  readonly isStarted: boolean
  readonly isFinishing: boolean
  readonly heardFromAtMs: number
  /** Since when the message in work waits for something; absent when none does. */
  readonly waitingSinceMs: number | undefined
  /** Since when what is said waits for engines that all refuse us; absent when nothing does. */
  readonly refusedSinceMs?: number | undefined
  /** The same for engines of which none works. */
  readonly awaySinceMs?: number | undefined
}

export interface DoorClock {
  /** The first thing that is overdue. */
  readonly overdue: (nowMs: number, progress: Progress) => Overdue | undefined
  /** The heartbeat, when it is time for one. */
  readonly heartbeat: (nowMs: number, heardMs: number) => Event | undefined
}

/** To show who one is, where the request did not. */
const AUTHENTICATE_SECONDS = 5
const HEARTBEAT_SECONDS = 10
/** To ask an engine that refused once more: its configuration may have been corrected since. */
const REFUSED_SECONDS = 5
/** An engine that is started anew is back by then; half of what a voice remembers has been said. */
const AWAY_SECONDS = 30

export const make = (
  startedAtMs: number,
  limits: {
    readonly sessionSeconds: number
    readonly idleSeconds: number
    readonly startWithinSeconds: number | undefined
    readonly heartbeatSeconds?: number | undefined
  }
): DoorClock => {
  let admittedAtMs: number | undefined
  const { idleSeconds, sessionSeconds, startWithinSeconds = Number.POSITIVE_INFINITY } = limits
  const heartbeatMs = (limits.heartbeatSeconds ?? HEARTBEAT_SECONDS) * 1000
  let heartbeatAtMs = startedAtMs + heartbeatMs
  return {
    overdue: (nowMs, progress) => {
      const isPast = (sinceMs: number, seconds: number) => nowMs - sinceMs > seconds * 1000
      if (!progress.isAdmitted) {
        return isPast(startedAtMs, AUTHENTICATE_SECONDS)
          ? { failure: "Unauthenticated", detail: `no credential came within ${AUTHENTICATE_SECONDS} s` }
          : undefined
      }
      admittedAtMs ??= nowMs
      if (isPast(startedAtMs, sessionSeconds)) {
        return { failure: "SessionLimit", detail: `a session lasts at most ${sessionSeconds} s` }
      }
      if (progress.refusedSinceMs !== undefined && isPast(progress.refusedSinceMs, REFUSED_SECONDS)) {
        return { failure: "NoEngine", detail: "every speech engine refuses this service" }
      }
      if (progress.awaySinceMs !== undefined && isPast(progress.awaySinceMs, AWAY_SECONDS)) {
        return { failure: "NoEngine", detail: `no speech engine has worked for ${AWAY_SECONDS} s` }
      }
      if (progress.isFinishing) return undefined
      if (!progress.isStarted && isPast(admittedAtMs, startWithinSeconds)) {
        return { failure: "NotStarted", detail: `the session did not begin within ${startWithinSeconds} s` }
      }
      if (progress.waitingSinceMs !== undefined) {
        return isPast(progress.waitingSinceMs, idleSeconds)
          ? { failure: "NoEngine", detail: `no engine has taken audio for ${idleSeconds} s` }
          : undefined
      }
      return isPast(progress.heardFromAtMs, idleSeconds)
        ? { failure: "Idle", detail: `nothing came for ${idleSeconds} s` }
        : undefined
    },
    heartbeat: (nowMs, heardMs) => {
      if (nowMs < heartbeatAtMs) return undefined
      heartbeatAtMs = nowMs + heartbeatMs
      return { _tag: "Heartbeat", heardMs }
    }
  }
}
