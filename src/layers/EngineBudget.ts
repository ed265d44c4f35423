/**
 * EngineBudget: how long an engine that failed is left alone.
 */
import type { EngineError } from "../services/SpeechEngine.ts"

/** How it failed. */
export interface Failure {
  readonly error: Pick<EngineError, "reason" | "retryable" | "retryAfterMs">
  /** It was taken to work: sessions were asked for. Else one probe asked, in all voices' place. */
  readonly worked: boolean
  /** A page tells whether it is there: asking costs it nothing. */
  readonly hasPage: boolean
  /** Somebody speaks, and no engine captions. */
  readonly isAwaited: boolean
}

export interface EngineBudget {
  /** How long an engine that failed like this is left alone, ms; spread by a fifth to both sides, and never shorter than it asked for. */
  readonly restMs: (failure: Failure) => number
  /** It is left alone once more. */
  readonly spend: (failure: Pick<Failure, "worked">) => void
  /** It has shown that it works. */
  readonly reset: () => void
}

const FIRST_MS = 250
/** For engines that give sessions which do not last, or say without a page that they are full: each try costs them something. */
const MAX_MS = 10_000
/** An engine that one probe only asks may be asked often. */
const PROBED_MAX_MS = 1_000
/** The same while speech waits for it: captions are back within 2 s of the engine, with the look of the voice and the first word. */
const AWAITED_MAX_MS = 700
/** Refused for a reason that only an admin can change. No server that asks for patience is given more. */
const REFUSED_MS = 60_000
const SPREAD = 0.4

/**
 * 250 ms, doubling to 10 s where sessions do not last, to 1 s where a probe finds nobody (0.7 s while speech waits); a minute after a refusal.
 * `random` gives 0…1.
 */
export const make = (random: () => number): EngineBudget => {
  /** Since it has shown that it works: how often it seemed to, and how many probes found that it does not, since the last time. */
  let relapses = 0
  let probes = 1
  const mostMs = ({ error, hasPage, isAwaited, worked }: Failure) => {
    if (worked || (error.reason === "Busy" && !hasPage)) return MAX_MS
    return isAwaited ? AWAITED_MAX_MS : PROBED_MAX_MS
  }
  return {
    restMs: (failure) => {
      const { error, worked } = failure
      if (!error.retryable) return REFUSED_MS
      const restMs = Math.min(mostMs(failure), FIRST_MS * 2 ** (worked ? relapses : probes))
      const askedMs = Math.min(REFUSED_MS, error.retryAfterMs ?? 0)
      const jitter = SPREAD * random()
      return Math.max(restMs * (1 - SPREAD / 2 + jitter), askedMs * (1 + jitter / 2))
    },
    spend: ({ worked }) => {
      probes = worked ? 1 : probes + 1
      if (worked) relapses += 1
    },
    reset: () => {
      relapses = 0
    }
  }
}
