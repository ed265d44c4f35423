/**
 * Packets of many voices are taken together: where many come, this thread rests for a moment before it looks for more.
 *
 * They come evenly spread, so that each wakes the thread up alone, and that costs more than to hear most of them. A rest is no longer than a
 * frame can well wait, and there is none while the thread has more to do than that.
 *
 * docs/decisions/0021-packets-are-taken-together.md
 */

export interface PacketRestOptions {
  /** There is something that takes many steps of the event loop, each of which would wait. */
  readonly isHurried: () => boolean
  /** Real time, in ms. */
  readonly now?: () => number
  readonly rest?: (ms: number) => void
}

export interface PacketRest {
  /** A packet came. */
  readonly came: () => void
}

/** The event loop looks for packets no more often than this. */
const EVERY_MS = 3
/** Less is not worth it. */
const LEAST_MS = 0.5
/** So many within that time are many: what 20 participants send. */
const MANY = 100
const WITHIN_MS = 100

const cell = new Int32Array(new SharedArrayBuffer(4))
let restedMs = 0

/** How long this thread has rested in all, in ms: the event loop counts it as work. */
export const total = (): number => restedMs

const restNow = (ms: number) => {
  const sinceMs = performance.now()
  Atomics.wait(cell, 0, 0, ms)
  restedMs += performance.now() - sinceMs
}

/** One for all peers of a thread. */
export const make = ({ isHurried, now = () => performance.now(), rest = restNow }: PacketRestOptions): PacketRest => {
  let areMany = false
  let count = 0
  let countedMs = now()
  let lookedMs = countedMs
  let isPlanned = false

  const restBeforeNext = () => {
    isPlanned = false
    const leftMs = EVERY_MS - (now() - lookedMs)
    if (leftMs >= LEAST_MS && !isHurried()) rest(leftMs)
    lookedMs = now()
  }
  return {
    came: () => {
      if (++count === MANY) {
        const atMs = now()
        areMany = atMs - countedMs <= WITHIN_MS
        countedMs = atMs
        count = 0
      }
      if (!areMany || isPlanned) return
      isPlanned = true
      // behind everything that is read in this step of the loop
      setImmediate(restBeforeNext)
    }
  }
}
