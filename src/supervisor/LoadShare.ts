/**
 * How much a runner has to do, as the one sees it who gives it more.
 *
 * What it reports is a second old and of the second before, so what it was given since is added as an estimate, which goes as the
 * measurement takes its place. What is open counts in any case: somebody who is silent now may speak in a moment.
 */

export interface LoadShare {
  readonly given: (nowMs: number) => void
  readonly reported: (nowMs: number, report: LoadReport) => void
  /** The share of a core, measured and smoothed over some seconds. */
  readonly cpu: () => number
  /** To compare: who has least gets the next connection. */
  readonly of: (nowMs: number) => number
  /** ms since it was heard of; Infinity before. */
  readonly silentMs: (nowMs: number) => number
  /** It cannot have been heard of: nobody was listening. */
  readonly excuse: (nowMs: number) => void
}

export interface LoadReport {
  /** Share of a core since the last report. */
  readonly cpu: number
  /** Connections that are open. */
  readonly open: number
  /** Connections it ever got. */
  readonly received: number
}

/** A reading counts for a third: in three seconds most of what changed is seen, and one collection of garbage moves nobody. */
const WEIGHT = 1 / 3
/** What a connection is taken to cost while nobody has measured it: several times a stream's share, since opening it costs too. */
const NEW_COST = 0.02
const NEW_MS = 4000
/** What an open connection costs at least: about what a stream costs in which somebody speaks. */
const OPEN_COST = 0.003

export const make = (): LoadShare => {
  let cpu = 0
  let isMeasured = false
  let open = 0
  let received = 0
  let sent = 0
  let heardAtMs = Number.NEGATIVE_INFINITY
  let fresh: Array<number> = []

  return {
    given: (nowMs) => {
      sent++
      fresh.push(nowMs)
    },
    reported: (nowMs, report) => {
      cpu = isMeasured ? cpu + (report.cpu - cpu) * WEIGHT : report.cpu
      isMeasured = true
      open = report.open
      received = report.received
      heardAtMs = nowMs
    },
    cpu: () => cpu,
    of: (nowMs) => {
      fresh = fresh.filter((atMs) => nowMs - atMs < NEW_MS)
      const estimate = fresh.reduce((sum, atMs) => sum + NEW_COST * (1 - (nowMs - atMs) / NEW_MS), 0)
      return Math.max(cpu, OPEN_COST * (open + sent - received)) + estimate
    },
    silentMs: (nowMs) => nowMs - heardAtMs,
    excuse: (nowMs) => {
      if (heardAtMs > Number.NEGATIVE_INFINITY) heardAtMs = nowMs
    }
  }
}
