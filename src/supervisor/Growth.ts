/**
 * When another runner is needed (`LT_RUNNERS=auto`).
 */

/** Past this share of a core a runner soon has none left for what comes at once: garbage, a room that everybody enters. */
const BUSY = 0.6
/** A runner below this takes what is new: another one would have nothing to do. */
const FREE = 0.3

export interface GrowthOptions {
  /** Runners, at most. */
  readonly most: number
  /** A burst is not a load. Absent: 5 s. */
  readonly busyMs?: number | undefined
  /** After one was added, until it carries something. Absent: 15 s. */
  readonly settleMs?: number | undefined
}

/** `true` when one has to be added; to be asked about once a second with the share of a core that each runner uses. */
export type Growth = (nowMs: number, cpus: ReadonlyArray<number>) => boolean

export const make = ({ busyMs = 5000, most, settleMs = 15_000 }: GrowthOptions): Growth => {
  let busySinceMs: number | undefined
  let settledAtMs = Number.NEGATIVE_INFINITY
  return (nowMs, cpus) => {
    const isNeeded = cpus.length > 0 && Math.max(...cpus) > BUSY && Math.min(...cpus) > FREE
    if (!isNeeded) {
      busySinceMs = undefined
      return false
    }
    busySinceMs ??= nowMs
    if (cpus.length >= most || nowMs - busySinceMs < busyMs || nowMs < settledAtMs) return false
    settledAtMs = nowMs + settleMs
    busySinceMs = undefined
    return true
  }
}
