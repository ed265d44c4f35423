/**
 * How much a runner has to do, as the one sees it who gives it more.
 *
 * What it reports is a second old and of the second before, so what it was given since is added as an estimate, which goes as the
 * measurement takes its place. What is open counts in any case: somebody who is silent now may speak in a moment.
 */

export interface LoadShare {
  readonly given: (nowMs: number) => void
  readonly reported: (nowMs: number, report: LoadReport) => void
  /** The share of a core that it has used all through the last seconds: 0 for one that has not been there for so long. */
  readonly cpu: () => number
  /** To compare: who has least gets the next connection. */
  readonly of: (nowMs: number) => number
  /** ms since it was heard of; Infinity before. */
  readonly silentMs: (nowMs: number) => number
  /** It is there, as if it had just been heard of. */
  readonly isThere: (nowMs: number) => void
}

export interface LoadReport {
  /** Share of a core since the last report. */
  readonly cpu: number
  /** Connections that are open. */
  readonly open: number
  /** Connections it ever got. */
  readonly received: number
}

/**
 * The least of so many readings, a second each, counts: garbage is collected, sessions begin and programs are compiled in bursts, which say
 * nothing about what there is to do.
 */
const READINGS = 4
/** What a connection is taken to cost while nobody has measured it: several times a stream's share, since opening it costs too. */
const NEW_COST = 0.02
const NEW_MS = 4000
/** What an open connection costs at least: about what a stream costs in which somebody speaks. */
const OPEN_COST = 0.003

export const make = (): LoadShare => {
  let readings: ReadonlyArray<number> = Array.from({ length: READINGS }, () => 0)
  let open = 0
  let received = 0
  let sent = 0
  let heardAtMs = Number.NEGATIVE_INFINITY
  let fresh: Array<number> = []

  const cpu = () => Math.min(...readings)

  return {
    given: (nowMs) => {
      sent++
      fresh.push(nowMs)
    },
    reported: (nowMs, report) => {
      readings = [...readings.slice(1), report.cpu]
      open = report.open
      received = report.received
      heardAtMs = nowMs
    },
    cpu,
    of: (nowMs) => {
      fresh = fresh.filter((atMs) => nowMs - atMs < NEW_MS)
      const estimate = fresh.reduce((sum, atMs) => sum + NEW_COST * (1 - (nowMs - atMs) / NEW_MS), 0)
      return Math.max(cpu(), OPEN_COST * (open + sent - received)) + estimate
    },
    silentMs: (nowMs) => nowMs - heardAtMs,
    isThere: (nowMs) => {
      heardAtMs = nowMs
    }
  }
}
