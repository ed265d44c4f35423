/**
 * Listener: reads the events of one session as the Transcriber does, and holds them to the contract while they come.
 */
import { Cause, Effect, Exit, Fiber, type Scope, Stream } from "effect"
import { isFinal } from "../domain/Segment.ts"
import type { SpeechEvent, Word } from "../domain/Speech.ts"
import * as SegmentCutter from "../layers/SegmentCutter.ts"
import { EngineError, type EngineSession } from "../services/SpeechEngine.ts"
import { type ConformanceError, fault } from "./Harness.ts"
import { wordsIn } from "./Speech.ts"

export interface Listener {
  /** All words so far, in the order in which readers of the pipeline get them; those that may still change included. */
  readonly words: () => ReadonlyArray<string>
  /** Those of them that will not change. */
  readonly certain: () => ReadonlyArray<string>
  /** The marks so far, each with the certain words before it. */
  readonly marks: () => ReadonlyArray<{ readonly position: number; readonly words: ReadonlyArray<string> }>
  readonly completed: () => ReadonlyArray<Extract<SpeechEvent, { readonly _tag: "Completed" }>>
  /** The newest the engine said of each word, where it has times. */
  readonly timed: () => ReadonlyArray<Word>
  /** The first thing that the contract forbids. */
  readonly faults: Effect.Effect<void, ConformanceError>
  /** Why the events ended, once they have. */
  readonly ended: () => EngineError | undefined
  /** Waits for the end. */
  readonly end: Effect.Effect<EngineError, ConformanceError>
}

/** Reads until the events end or the scope closes. */
export const listen = (session: EngineSession): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function* () {
    const cutter = SegmentCutter.make("v")
    const finals: Array<string> = []
    let open = ""
    let committed = ""
    const marks: Array<{ readonly position: number; readonly words: ReadonlyArray<string> }> = []
    const completed: Array<Extract<SpeechEvent, { readonly _tag: "Completed" }>> = []
    const finished = new Set<string>()
    const timed = new Map<string, Word>()
    let broken: string | undefined
    let ended: EngineError | undefined

    const certain = () => [...finals, committed].flatMap(wordsIn)
    const take = (event: SpeechEvent): void => {
      if ("item" in event && finished.has(event.item)) broken ??= `${event._tag} of an utterance that had ended`
      if (event._tag === "Completed" || event._tag === "Failed") finished.add(event.item)
      if (event._tag === "Completed") completed.push(event)
      if (event._tag === "Replaced" && (event.stableLength < 0 || event.stableLength > event.text.length))
        broken ??= `a stable length of ${event.stableLength} in a text of ${event.text.length}`
      for (const word of "words" in event ? (event.words ?? []) : []) {
        if (/^\s|\s$/.test(word.text) || word.text === "") broken ??= "a word with spaces around it, or none"
        if (word.startMs !== undefined) timed.set(wordsIn(word.text).join(""), word)
      }
      if (event._tag === "Marked") {
        if (event.position <= (marks.at(-1)?.position ?? 0)) broken ??= `a mark at ${event.position} that goes back`
        marks.push({ position: event.position, words: certain() })
      }
      for (const state of cutter.take(event, 0)) {
        open = isFinal(state) ? "" : `${state.committed} ${state.open}`
        committed = isFinal(state) ? "" : state.committed
        if (isFinal(state)) finals.push(state.committed)
      }
    }

    const hear = (event: SpeechEvent) => {
      take(event)
      return undefined
    }
    const heard: Effect.Effect<void, EngineError> =
      session.hear?.(hear) ?? Stream.runForEach(session.events, (event) => Effect.sync(() => take(event)))
    const reading = yield* heard.pipe(
      Effect.flip,
      Effect.tap((error) =>
        Effect.sync(() => {
          ended = error
        })
      ),
      Effect.forkScoped
    )
    return {
      words: () => [...finals, open].flatMap(wordsIn),
      certain,
      marks: () => marks,
      completed: () => completed,
      timed: () => [...timed.values()],
      faults: Effect.suspend(() => (broken === undefined ? Effect.void : Effect.fail(fault(broken)))),
      ended: () => ended,
      end: Fiber.await(reading).pipe(
        Effect.flatMap((exit) => {
          if (Exit.isSuccess(exit) && exit.value instanceof EngineError) return Effect.succeed(exit.value)
          const found = Exit.isFailure(exit) ? Cause.squash(exit.cause) : "nothing"
          return Effect.fail(fault(`the events must end with an EngineError, not with ${String(found)}`))
        })
      )
    }
  })
