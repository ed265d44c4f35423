/**
 * Dice: what chance decides in a scenario; the same from the same seed.
 */

export interface Dice {
  /** 0 ≤ x < 1. */
  readonly next: () => number
  readonly chance: (probability: number) => boolean
  /** A whole number; both ends are possible. */
  readonly between: (from: number, to: number) => number
  /** One of them; fails on none. */
  readonly pick: <A>(from: ReadonlyArray<A>) => A
  /** Dice of their own for one part of the scenario: what that part asks for changes nothing for the others. */
  readonly fork: (part: string) => Dice
}

/** Mulberry32: small, seeded, good enough to shuffle. */
export const make = (seed: number): Dice => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  // the first numbers of neighbouring seeds resemble each other
  next()
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    chance: (probability) => next() < probability,
    between,
    pick: (from) => {
      const found = from[between(0, from.length - 1)]
      if (found === undefined) throw new Error("there is nothing to pick from")
      return found
    },
    fork: (part) => make(Math.imul(seed ^ hash(part), 0x9e3779b1))
  }
}

/** FNV-1a. */
const hash = (text: string): number => {
  let sum = 0x811c9dc5
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193)
  return sum >>> 0
}
