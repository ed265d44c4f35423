/**
 * CaptionFeed: what is said in running calls, for readers who read at their own speed.
 */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"

/** No call is captioned in this room. */
export class NoSuchCall extends Schema.TaggedError<NoSuchCall>()("NoSuchCall", {}) {
  override get message() {
    return "no call is captioned in this room"
  }
}

/** The reader was disconnected: so many finals were waiting for it that it could not be served any more. */
export class ReaderBehind extends Schema.TaggedError<ReaderBehind>()("ReaderBehind", { waitingFinals: Schema.Int }) {
  override get message() {
    return `reader too far behind: ${this.waitingFinals} finals were waiting for it`
  }
}

/**
 * Live captions by room. Nobody's slowness touches anybody: a reader skips partials it has no time for, gets every final, and is disconnected
 * when 1,000 of them wait.
 */
export class CaptionFeed extends Context.Service<
  CaptionFeed,
  {
    /**
     * Captions of a call, until the scope closes: first what a newcomer should see, which is the last finals (20) and the segments open now,
     * then all that follow. Per segment in order of revision, finals in the order they came. Ends when the call has ended, behind its last
     * final.
     */
    readonly subscribe: (
      room: RoomToken
    ) => Effect.Effect<Stream.Stream<Caption, ReaderBehind>, NoSuchCall, Scope.Scope>
  }
>()("parlance/services/CaptionFeed") {}
