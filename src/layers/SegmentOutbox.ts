/**
 * SegmentOutbox: states of segments of one voice, on their way to one reader.
 */
import { Cause, Effect, Latch, Stream } from "effect"
import { isFinal, type Segment } from "../domain/Segment.ts"

/** Finals that wait before the engine's events do; a reader that far behind has stopped. */
const CAPACITY = 512

export interface SegmentOutbox {
  /** Takes states, never waits. Of states of one segment that wait, the reader gets the newest; finals are never left out. */
  readonly put: (states: ReadonlyArray<Segment>) => void
  /** Waits while more than `CAPACITY` states do. Whoever puts, asks here before the next. */
  readonly room: Effect.Effect<void>
  /** No more comes; what waits is still read. */
  readonly end: () => void
  /** For one reader. */
  readonly segments: Stream.Stream<Segment>
}

/** An empty outbox. Bounded by `room`; nothing but superseded partials is dropped. */
export const make = (): SegmentOutbox => {
  let waiting: Array<Segment> = []
  let ended = false
  const filled = Latch.makeUnsafe(false)
  const roomy = Latch.makeUnsafe(true)

  const pull = Effect.suspend(function next(): Effect.Effect<readonly [Segment, ...Array<Segment>], Cause.Done> {
    const [first, ...others] = waiting
    if (first === undefined) return ended ? Cause.done() : Effect.flatMap(filled.await, () => Effect.suspend(next))
    waiting = []
    roomy.openUnsafe()
    if (!ended) filled.closeUnsafe()
    return Effect.succeed([first, ...others])
  })

  return {
    put: (states) => {
      for (const state of states) {
        const last = waiting.at(-1)
        if (last !== undefined && last.id === state.id && !isFinal(last)) waiting.pop()
        waiting.push(state)
      }
      if (waiting.length > 0) filled.openUnsafe()
      if (waiting.length > CAPACITY) roomy.closeUnsafe()
    },
    room: roomy.await,
    end: () => {
      ended = true
      filled.openUnsafe()
    },
    segments: Stream.fromPull(Effect.succeed(pull))
  }
}
