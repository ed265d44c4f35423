/**
 * What a session has to tell while its client is behind with reading: everything waits in order, and of partials only the newest of each
 * segment is kept.
 */
import { isFinal } from "../domain/Segment.ts"
import type { Event } from "./Dialect.ts"

export interface DoorOutbox {
  /** Tells it now or later. `false`: too much waits already, and this was not kept. */
  readonly put: (event: Event) => boolean
  /** Tells what waits, as far as the client reads. */
  readonly flush: () => void
  /** Tells all that waits, whether the client reads or not. */
  readonly empty: () => void
}

/** Finals of an hour. Nothing is dropped: a reader so far behind is disconnected. */
const CAPACITY = 1000

export const make = (options: {
  readonly isBehind: () => boolean
  readonly tell: (event: Event) => void
}): DoorOutbox => {
  const waiting: Array<Event> = []
  const supersede = (event: Event) => {
    const at = waiting.findIndex((older) => isSuperseded(older, event))
    if (at >= 0) waiting.splice(at, 1)
  }
  const tellWhile = (condition: () => boolean) => {
    while (condition()) {
      const event = waiting.shift()
      if (event === undefined) return
      options.tell(event)
    }
  }
  const flush = () => tellWhile(() => !options.isBehind())
  return {
    put: (event) => {
      if (!options.isBehind()) flush()
      if (waiting.length === 0 && !options.isBehind()) {
        options.tell(event)
        return true
      }
      supersede(event)
      if (waiting.length >= CAPACITY) return false
      waiting.push(event)
      return true
    },
    flush,
    empty: () => tellWhile(() => true)
  }
}

const isSuperseded = (older: Event, newer: Event): boolean => {
  if (older._tag === "Heartbeat") return newer._tag === "Heartbeat"
  return (
    older._tag === "Segment" &&
    newer._tag === "Segment" &&
    older.segment.id === newer.segment.id &&
    !isFinal(older.segment)
  )
}
