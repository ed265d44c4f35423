/**
 * OpenAiProof: how much of what a session committed has certainly become events, and who waits for that. An event is certain when its reader
 * has done with it.
 */
import { Deferred, Effect } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import type { OpenAiItems } from "./OpenAiItems.ts"

export interface OpenAiProof {
  /** The events are read from now on. */
  readonly begun: () => void
  /** A message came. */
  readonly came: () => void
  /** The reader has done with all messages that came. */
  readonly settled: () => void
  /** Completes when every commit so far is over, after 5 s in any case. */
  readonly allOver: Effect.Effect<void>
  /** Never completes; fails when nothing at all came in these 5 s. */
  readonly silent: Effect.Effect<never, EngineError>
  readonly mark: () => number
}

const CAP = "5 seconds"

export const make = (items: OpenAiItems): OpenAiProof => {
  const silent = Deferred.makeUnsafe<never, EngineError>()
  const waiting = new Set<{ readonly commits: number; readonly over: Deferred.Deferred<void> }>()
  let isRead = false
  let came = 0
  let done = 0
  let mark = 0

  /** A commit is acknowledged at once; a reader who is behind has not heard the answer yet. */
  const giveUp = (cameBefore: number) =>
    isRead && came === cameBefore && done === came
      ? Deferred.fail(silent, new EngineError({ reason: "Silent", detail: "it does not answer a commit" }))
      : Effect.void

  return {
    begun: () => {
      isRead = true
    },
    came: () => {
      came += 1
    },
    settled: () => {
      done = came
      mark = items.mark()
      for (const one of waiting) if (items.areOver(one.commits)) Deferred.doneUnsafe(one.over, Effect.void)
    },
    allOver: Effect.suspend(() => {
      const one = { commits: items.commits(), over: Deferred.makeUnsafe<void>() }
      const cameBefore = came
      if (items.areOver(one.commits)) return Effect.void
      waiting.add(one)
      return Deferred.await(one.over).pipe(
        Effect.timeoutOrElse({ duration: CAP, orElse: () => giveUp(cameBefore) }),
        Effect.ensuring(Effect.sync(() => waiting.delete(one)))
      )
    }),
    silent: Deferred.await(silent),
    mark: () => mark
  }
}
