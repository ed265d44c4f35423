/**
 * Relay: what comes goes to one reader, in order: in the moment it comes while the reader keeps up; what it cannot take yet waits. A word on its
 * way through a queue, a stream and a fiber costs more than all that is done with it.
 */
import { Effect, Latch } from "effect"

/**
 * Takes what came; plain and short, for whoever has it to give waits. An effect is waited for before the next, and ends the reading when it fails.
 * What is thrown ends it too.
 */
export type Take<in A, out E = never> = (one: A) => Effect.Effect<void, E> | undefined

export interface Relay<in out A, in out E> {
  /** Never waits, and throws nothing of the reader's. */
  readonly put: (one: A) => void
  /** How it ends for the reader, behind what waits; the first end counts. */
  readonly end: (how: Effect.Effect<never, E>) => void
  /** What waits or comes next. */
  readonly next: Effect.Effect<A, E>
  /** Gives everything to `take` until the end. */
  readonly read: <E2>(take: Take<A, E2>) => Effect.Effect<never, E | E2>
}

/** Where that waits which cannot be taken yet. Whoever puts sees to it that this is bounded. */
export interface Waiting<in out A> {
  readonly keep: (one: A) => void
  /** Takes the first out. */
  readonly next: () => A | undefined
}

/** For one reader at a time: `next` or `read`. */
export const make = <A, E = never>(waiting: Waiting<A>): Relay<A, E> => {
  /** Only while nothing waits. */
  let direct: ((one: A) => void) | undefined
  let ended: Effect.Effect<never, E> | undefined
  const news = Latch.makeUnsafe(false)
  /** It is given one: what that brings about comes behind it, and whoever is woken then runs at once. */
  let isTaking = false
  let isCalled = false
  const call = () => {
    if (isTaking) isCalled = true
    else news.openUnsafe()
  }
  const next = Effect.suspend(function look(): Effect.Effect<A, E> {
    const one = waiting.next()
    if (one !== undefined) return Effect.succeed(one)
    if (ended !== undefined) return ended
    news.closeUnsafe()
    return Effect.flatMap(news.await, () => Effect.suspend(look))
  })

  const read = Effect.fnUntraced(function* <E2>(take: Take<A, E2>): Effect.fn.Return<never, E | E2> {
    let owed: Effect.Effect<void, E2> | undefined
    const hand = (one: A) => {
      isTaking = true
      try {
        owed = take(one)
      } catch (bug) {
        owed = Effect.die(bug)
      }
      isTaking = false
      if (owed === undefined && !isCalled) return
      isCalled = false
      direct = undefined
      news.openUnsafe()
    }
    for (;;) {
      for (let one = waiting.next(); one !== undefined; one = waiting.next()) {
        const wait = take(one)
        if (wait !== undefined) yield* wait
      }
      if (ended !== undefined) return yield* ended
      news.closeUnsafe()
      direct = hand
      yield* news.await
      direct = undefined
      if (owed !== undefined) yield* owed
      owed = undefined
    }
  })

  return {
    put: (one) => {
      if (direct !== undefined && !isTaking) return direct(one)
      waiting.keep(one)
      call()
    },
    end: (how) => {
      ended ??= how
      call()
    },
    next,
    read: (take) =>
      Effect.ensuring(
        read(take),
        Effect.sync(() => {
          direct = undefined
        })
      )
  }
}

/** What waits in the order it came; `onTaken`: one that had waited was taken. */
export const line = <A>(onTaken: (one: A) => void = () => {}): Waiting<A> & { readonly size: () => number } => {
  const waiting: Array<A> = []
  return {
    keep: (one) => {
      waiting.push(one)
    },
    next: () => {
      const one = waiting.shift()
      if (one !== undefined) onTaken(one)
      return one
    },
    size: () => waiting.length
  }
}
