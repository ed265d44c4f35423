/**
 * EngineBackoff: when an engine may be asked for a session again. One for all voices: what one of them learns, the others need not try.
 */
import type { EngineError } from "../services/SpeechEngine.ts"

const BACKOFF_MS = 250
const MAX_BACKOFF_MS = 10_000
/** A session that lived this long was a good one: backoff starts anew. */
const HEALTHY_MS = 60_000
/** Refused for a reason that only an admin can change. */
const REFUSED_MS = 60_000
/** Voices that wait come back spread over this part of the backoff, not all at once. */
const SPREAD = 0.4

/** An attempt: when it began, and when the session was open, if it ever was. Milliseconds of the monotonic clock. */
export interface Attempt {
  readonly triedMs: number
  readonly openedMs?: number
}

export interface EngineBackoff {
  /** Not to be tried as long as there is another: it refused, could not be reached, or gave sessions that did not last. */
  readonly isFailing: () => boolean
  /** Before the next attempt, ms; 0: now. */
  readonly waitMs: () => number
  /** Added to `waitMs` by whoever waits, some part of it. */
  readonly spreadMs: () => number
  readonly failed: (error: EngineError, attempt: Attempt) => void
  /** A session was closed by us. */
  readonly proved: () => void
}

/**
 * The backoff of one engine: 250 ms, doubling to 10 s; a minute after a refusal. Failures of attempts that began before the trouble was
 * known are the same trouble and count once.
 */
export const make = (now: () => number): EngineBackoff => {
  let failures = 0
  let failing = false
  let troubleMs = Number.NEGATIVE_INFINITY
  let notBeforeMs = Number.NEGATIVE_INFINITY
  let spreadMs = 0
  const waitMs = () => Math.max(0, notBeforeMs - now())
  return {
    isFailing: () => failing && waitMs() > 0,
    waitMs,
    spreadMs: () => spreadMs,
    failed: (error, { openedMs, triedMs }) => {
      const wasGood = openedMs !== undefined && now() - openedMs >= HEALTHY_MS
      const isKnown = triedMs < troubleMs && waitMs() > 0
      if (isKnown && error.retryable) return
      if (wasGood) failures = 0
      const backoffMs = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** failures)
      troubleMs = now()
      // a good engine that dropped one session is asked again before another is
      failing = !wasGood
      spreadMs = error.retryable ? backoffMs * SPREAD : 0
      notBeforeMs = now() + (error.retryable ? backoffMs * (1 - SPREAD / 2) : REFUSED_MS)
      failures += 1
    },
    proved: () => {
      failures = 0
    }
  }
}
