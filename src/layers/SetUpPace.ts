/**
 * When the set-up of one more peer may begin: whoever is heard already comes before whoever joins.
 *
 * A set-up costs this thread some 20 ms, in pieces. Many that begin together stay together, step by step, and what arrives for all other voices waits
 * behind each step of all of them. So they begin one after the other, in the order they came in; and while the event loop is late, only one at a
 * time.
 */
import { setTimeout } from "node:timers/promises"
import { Effect, type Scope, Semaphore } from "effect"

export interface SetUpPaceOptions {
  /** Real time, in ms: how late the event loop is, no test clock knows. */
  readonly now?: () => number
  readonly pause?: (ms: number) => Promise<unknown>
}

export interface SetUpPace {
  /** Done when a set-up may begin, which lasts as long as the scope. */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
}

const atATime = 8
/** Between two of them. */
const apartMs = 10
/** A timer that is later than this shares its loop with more than the media of those who speak. */
const lateMs = 6
/** Whoever cannot be set up holds the others up for no longer than this. */
const patienceMs = 1000

export const make = ({ now = () => performance.now(), pause = setTimeout }: SetUpPaceOptions = {}) =>
  Effect.gen(function* () {
    const places = yield* Semaphore.make(atATime)
    const door = yield* Semaphore.make(1)
    let running = 0
    let begunMs = Number.NEGATIVE_INFINITY

    /** Waits until the loop has time for one more. */
    const breathe = async () => {
      const sinceMs = now()
      if (running === 0 || sinceMs - begunMs > patienceMs) return
      for (let atMs = sinceMs; running > 0 && atMs - sinceMs < patienceMs; ) {
        await pause(apartMs)
        const late = now() - atMs - apartMs
        if (late < lateMs) return
        atMs = now()
      }
    }
    const begin = Effect.acquireRelease(
      Effect.sync(() => {
        running++
        begunMs = now()
      }),
      () =>
        Effect.sync(() => {
          running--
        })
    )
    const pace: SetUpPace = {
      begin: Semaphore.takeScoped(places, 1).pipe(
        Effect.andThen(door.withPermits(1)(Effect.andThen(Effect.promise(breathe), begin)))
      )
    }
    return pace
  })
