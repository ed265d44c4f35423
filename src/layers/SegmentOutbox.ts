/**
 * SegmentOutbox: what was made of one voice, on its way to one reader.
 */
import { Cause, Effect, Latch, Pull, Stream } from "effect"
import { isFinal, type Segment, type Transcribed } from "../domain/Segment.ts"
import * as Relay from "./Relay.ts"

/** Finals that wait before the engine's events do; a reader that far behind has stopped. */
const CAPACITY = 512

export interface SegmentOutbox {
  /** Takes states, never waits. Of states of one segment that wait, the reader gets the newest; finals are never left out. */
  readonly put: (states: ReadonlyArray<Segment>) => void
  /**
   * Everything that was said up to this position (samples) has been put. The reader is told behind the final of the segment that is open,
   * unless it is known that this one was said `later`; once, and not what it knows already.
   */
  readonly settle: (position: number, open?: "later") => void
  /** So much speech from `position` on (samples) was given up: told behind everything that was put. */
  readonly interrupt: (position: number, samples: number) => void
  /** Waits while more than `CAPACITY` states do; `undefined` while they do not. Whoever puts, asks here before the next. */
  readonly room: () => Effect.Effect<void> | undefined
  /** No more comes; what waits is still read. */
  readonly end: () => void
  /** For one reader. */
  readonly transcribed: Stream.Stream<Transcribed>
  /** The same without a stream: gives what is there to `take` until the end. */
  readonly read: (take: Relay.Take<Batch>) => Effect.Effect<void>
}

/** What is there at a time, and belongs together. */
type Batch = [Transcribed, ...Array<Transcribed>]

/** What a reader that asks for it is told behind whatever is put, when it has changed. */
export type ReadMark = () => { readonly position: number; readonly said: string }

/** An empty outbox. Bounded by `room`; nothing but what is superseded (partials, `Settled`, `Marked`) is dropped. */
export const make = (readMark?: ReadMark): SegmentOutbox => {
  let waiting: Array<Transcribed> = []
  let isOpen = false
  /** The reader was told of it; and what it is told when the open segment ends. */
  let settled = 0
  let settling = 0
  let marked: ReturnType<ReadMark> = { position: 0, said: "" }
  const roomy = Latch.makeUnsafe(true)
  const takeAll = (): Batch | undefined => {
    if (!isBatch(waiting)) return undefined
    const all = waiting
    waiting = []
    return all
  }
  const relay = Relay.make<Batch, Cause.Done>({
    keep: (all) => {
      waiting = all
      if (waiting.length > CAPACITY) roomy.closeUnsafe()
    },
    next: () => {
      const all = takeAll()
      roomy.openUnsafe()
      return all
    }
  })

  const tell = (isLater = false): void => {
    if ((isOpen && !isLater) || settling <= settled) return
    settled = settling
    if (waiting.at(-1)?._tag === "Settled") waiting.pop()
    waiting.push({ _tag: "Settled", position: settled })
  }
  const mark = (isOwed: boolean): void => {
    const next = readMark?.()
    if (next === undefined || (!isOwed && next.position === marked.position && next.said === marked.said)) return
    marked = next
    waiting.push({ _tag: "Marked", ...next })
  }
  const handOn = (): void => {
    const all = takeAll()
    if (all !== undefined) relay.put(all)
  }

  return {
    put: (states) => {
      const isOwed = waiting.at(-1)?._tag === "Marked"
      if (isOwed) waiting.pop()
      for (const segment of states) {
        const last = waiting.at(-1)
        if (last?._tag === "Segment" && last.segment.id === segment.id && !isFinal(last.segment)) waiting.pop()
        waiting.push({ _tag: "Segment", segment })
        isOpen = !isFinal(segment)
        tell()
      }
      mark(isOwed)
      handOn()
    },
    settle: (position, open) => {
      settling = Math.max(settling, position)
      tell(open === "later")
      handOn()
    },
    interrupt: (position, samples) => {
      waiting.push({ _tag: "Interrupted", position, samples })
      handOn()
    },
    room: () => (roomy.isOpen() ? undefined : roomy.await),
    end: () => relay.end(Cause.done()),
    transcribed: Stream.fromPull(Effect.succeed(relay.next)),
    read: (take) => Pull.catchDone(relay.read(take), () => Effect.void)
  }
}

const isBatch = (all: Array<Transcribed>): all is Batch => all.length > 0
