/**
 * EngineBudget: how long an engine that failed is left alone.
 */
import type { EngineError } from "../services/SpeechEngine.ts"

/** Who learned that an engine fails: a voice, or the one probe that asks in all voices' place. */
export type Learner = "Voice" | "Probe"

export interface EngineBudget {
  /** How long an engine that failed like this is left alone, ms; spread by a fifth to both sides. */
  readonly restMs: (error: Pick<EngineError, "reason" | "retryable">, by: Learner) => number
  /** It is left alone once more. */
  readonly spend: () => void
  /** It has shown that it works. */
  readonly reset: () => void
}

const FIRST_MS = 250
const MAX_MS = 10_000
/** An engine that nobody could reach is asked by one probe only, so it may be asked often: captions are back within 2 s of the engine. */
const PROBED_MAX_MS = 1_000
/** Refused for a reason that only an admin can change. */
const REFUSED_MS = 60_000
const SPREAD = 0.4

/** 250 ms, doubling to 10 s, to 1 s while it is only a probe that finds nobody; a minute after a refusal. `random` gives 0…1. */
export const make = (random: () => number): EngineBudget => {
  let spent = 0
  return {
    restMs: ({ reason, retryable }, by) => {
      if (!retryable) return REFUSED_MS
      const most = by === "Probe" && reason !== "Busy" ? PROBED_MAX_MS : MAX_MS
      return Math.min(most, FIRST_MS * 2 ** spent) * (1 - SPREAD / 2 + SPREAD * random())
    },
    spend: () => {
      spent += 1
    },
    reset: () => {
      spent = 0
    }
  }
}
