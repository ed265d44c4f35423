/**
 * OpenAiProof: who waits until what a session committed has become events. An event is certain when its reader has done with it.
 */
import { Deferred, Effect } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import type { OpenAiCommits } from "./OpenAiCommits.ts"

export interface OpenAiProof {
  /** The events are read from now on. */
  readonly begun: () => void
  /** The reader has done with all messages that came. */
  readonly settled: () => void
  /** Completes when every commit so far is over, after 5 s in any case. */
  readonly allOver: Effect.Effect<void>
  /** Never completes; fails when the server has had more than enough time for a commit and says nothing. */
  readonly silent: Effect.Effect<never, EngineError>
}

export interface OpenAiProofOptions {
  readonly commits: OpenAiCommits
  readonly now: () => number
  /** For how long the server has said nothing that is still to be read, ms; 0 while not all was sent. */
  readonly quietMs: () => number
}

const CAP = "5 seconds"
const WATCH_EVERY = "250 millis"

export const make = ({ commits, now, quietMs }: OpenAiProofOptions): OpenAiProof => {
  const waiting = new Set<{ readonly commits: number; readonly over: Deferred.Deferred<void> }>()
  let isRead = false

  return {
    begun: () => {
      isRead = true
    },
    settled: () => {
      for (const one of waiting) if (commits.areOver(one.commits)) Deferred.doneUnsafe(one.over, Effect.void)
    },
    allOver: Effect.suspend(() => {
      const one = { commits: commits.count(), over: Deferred.makeUnsafe<void>() }
      if (commits.areOver(one.commits)) return Effect.void
      waiting.add(one)
      return Deferred.await(one.over).pipe(
        Effect.timeoutOrElse({ duration: CAP, orElse: () => Effect.void }),
        Effect.ensuring(Effect.sync(() => waiting.delete(one)))
      )
    }),
    silent: Effect.gen(function* () {
      for (;;) {
        yield* Effect.sleep(WATCH_EVERY)
        if (isRead && commits.isOverdue(now(), quietMs()))
          return yield* new EngineError({ reason: "Silent", detail: "it does not answer a commit" })
      }
    })
  }
}
