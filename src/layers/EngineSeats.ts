/**
 * EngineSeats: how many sessions an engine gives us at a time, as far as is known.
 */
import type { ConfiguredEngine } from "../services/Engines.ts"

export interface EngineSeats {
  /** It should give one more session than are open or being opened. */
  readonly isFree: () => boolean
  /** It is full as far as is known, but that may have been raised: one voice may ask, when nobody else serves it. */
  readonly mayAsk: () => boolean
  /** A session is being opened, until `decided`. */
  readonly asked: () => void
  readonly decided: () => void
  /** It gave a session. */
  readonly gave: () => void
  /** It has no session for us besides those that are open. */
  readonly full: () => void
}

/** An engine that said it is full is asked for more than it gave after a second, doubling to 10 s, or when one of its sessions has ended. */
const FULL_MS = 1_000
const MAX_FULL_MS = 10_000

/** Nobody sits yet. */
export const make = ({ engine, health }: ConfiguredEngine, now: () => number): EngineSeats => {
  const { maxSessions = Number.POSITIVE_INFINITY } = engine.capabilities
  let opening = 0
  let refusals = 0
  let given = Number.POSITIVE_INFINITY
  let fullUntilMs = Number.NEGATIVE_INFINITY
  const limit = () => (now() < fullUntilMs ? Math.min(given, maxSessions) : maxSessions)
  return {
    isFree: () => health().sessions + opening < limit(),
    mayAsk: () => opening === 0 && (now() >= fullUntilMs || health().sessions < given),
    asked: () => {
      opening += 1
    },
    decided: () => {
      opening -= 1
    },
    gave: () => {
      refusals = 0
      fullUntilMs = Number.NEGATIVE_INFINITY
    },
    full: () => {
      given = health().sessions
      fullUntilMs = now() + Math.min(MAX_FULL_MS, FULL_MS * 2 ** refusals)
      refusals += 1
    }
  }
}
