/**
 * Whether what a streaming session says is to be kept, and what became of it.
 */
import { Effect, Fiber } from "effect"
import type { TranscriptStore } from "../services/TranscriptStore.ts"
import type { Event, Opening } from "./Dialect.ts"
import type { DoorHearing } from "./DoorHearing.ts"

export interface DoorKeeping {
  /** Once everything was said, it is kept; `Saved` or `NotSaved` is told then, or nothing where there is nothing to keep. Once. */
  readonly ask: () => void
  readonly isAsked: () => boolean
  /** Completes when it was kept or could not be; at once where nobody asked. */
  readonly kept: Effect.Effect<void>
  /** The same, and no more audio comes. */
  readonly lastWords: Effect.Effect<void>
}

export interface DoorKeepingOptions {
  readonly store: TranscriptStore["Service"]
  readonly hearing: Pick<DoorHearing, "lastWords" | "over" | "record" | "said">
  readonly opening: Pick<Opening, "now" | "sessionId">
  readonly put: (event: Event) => void
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

/** Nobody has asked yet. */
export const make = ({ fork, hearing, opening, put, store }: DoorKeepingOptions): DoorKeeping => {
  let keeping: Fiber.Fiber<void> | undefined
  const keep = Effect.suspend(() => {
    if (!store.isConfigured || hearing.said().length === 0) return Effect.void
    const transcript = { sessionId: opening.sessionId, endedAtMs: opening.now(), lines: hearing.record() }
    return Effect.match(store.save(transcript), {
      onSuccess: (key) => put({ _tag: "Saved", key }),
      onFailure: ({ detail }) => put({ _tag: "NotSaved", detail })
    })
  })
  const kept = Effect.suspend(() => (keeping === undefined ? Effect.void : Effect.asVoid(Fiber.await(keeping))))
  return {
    ask: () => {
      keeping ??= fork(Effect.andThen(hearing.over, keep))
    },
    isAsked: () => keeping !== undefined,
    kept,
    lastWords: Effect.suspend(() => (keeping === undefined ? Effect.void : Effect.andThen(hearing.lastWords, kept)))
  }
}
