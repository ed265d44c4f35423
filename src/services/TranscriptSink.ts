/**
 * TranscriptSink: where the captions of a call go.
 */
import { Context, Effect, type Scope } from "effect"
import type { Intent, SessionId } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"
import type { SignalingSession } from "./Signaling.ts"
import type { UnsaidText } from "./SpeechJournal.ts"

/** The call a sink is opened for. */
export interface SinkCall {
  readonly session: SignalingSession
  /** Who reads now. */
  readonly intents: () => ReadonlyArray<Intent>
  /** Is told what was published and has not been handed on as final, whenever that changes. */
  readonly onUnsaid?: (texts: ReadonlyArray<UnsaidText>) => void
}

/** The sink of one call. Nothing here waits for a reader. */
export interface CallSink {
  /** Takes a state of a segment. Partials may be skipped, finals are not. */
  readonly publish: (caption: Caption) => void
  /** A speaker left the call. What it said and nobody has read is handed on if it comes back within 30 s. */
  readonly speakerLeft: (speaker: SessionId) => void
  /** The session's socket is back with the same session ids: what was not confirmed is sent again. */
  readonly resumed: () => void
  /** The session was joined anew: former session ids are void, what was not confirmed is sent again to whoever is still there. */
  readonly rejoined: () => void
  /** Everything published so far has been handed on as far as readers can be reached; waits at most 2 s. */
  readonly drain: Effect.Effect<void>
  /** What was published and that readers have not been given as final; `undefined` while it is not known what of it has reached them. */
  readonly unsaid?: () => ReadonlyArray<UnsaidText> | undefined
}

/** Opens the sink of a call; it closes with its scope, open blocks are finished first. */
export class TranscriptSink extends Context.Service<
  TranscriptSink,
  { readonly open: (call: SinkCall) => Effect.Effect<CallSink, never, Scope.Scope> }
>()("parlance/services/TranscriptSink") {}

/** Several sinks as one; each gets everything. */
export const all = (sinks: ReadonlyArray<TranscriptSink["Service"]>): TranscriptSink["Service"] => ({
  open: (call) =>
    Effect.forEach(sinks, (sink) => sink.open(call)).pipe(
      Effect.map((opened) => ({
        ...unsaidOf(opened),
        publish: (caption) => {
          for (const one of opened) one.publish(caption)
        },
        speakerLeft: (speaker) => {
          for (const one of opened) one.speakerLeft(speaker)
        },
        resumed: () => {
          for (const one of opened) one.resumed()
        },
        rejoined: () => {
          for (const one of opened) one.rejoined()
        },
        drain: Effect.forEach(opened, (one) => one.drain, { concurrency: "unbounded", discard: true })
      }))
    )
})

/** As the first that knows has it. */
const unsaidOf = (sinks: ReadonlyArray<CallSink>): Pick<CallSink, "unsaid"> => {
  const unsaid = sinks.find((sink) => sink.unsaid !== undefined)?.unsaid
  return unsaid === undefined ? {} : { unsaid }
}

/** A sink that hands every state of every segment to a function, synchronously. */
export const each = (publish: (caption: Caption) => void): TranscriptSink["Service"] => {
  const nothing = () => {}
  const sink: CallSink = { publish, speakerLeft: nothing, resumed: nothing, rejoined: nothing, drain: Effect.void }
  return { open: () => Effect.succeed(sink) }
}
