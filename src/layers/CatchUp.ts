/**
 * CatchUp: what waits for an engine is sent to it, as fast as it may be.
 */
import { Effect } from "effect"
import type { EngineLink } from "./EngineLink.ts"
import type { FrameBacklog } from "./FrameBacklog.ts"

/** Frames sent in one go: short enough for everybody else in the process. */
const SLICE = 4

export interface CatchUpOptions {
  readonly link: EngineLink
  readonly backlog: FrameBacklog
  /** Every stretch of speech in the backlog is flushed, not only the last. */
  readonly utterances: boolean
  /** Before frames are sent that follow upon something that is lost; also behind the last. */
  readonly onLost: Effect.Effect<void>
}

/** Sends the backlog in slices until it is empty; flushes behind the last frame if speech had ended there. */
export const run = Effect.fnUntraced(function* ({ backlog, link, onLost, utterances }: CatchUpOptions) {
  const { feed, pace } = link
  for (;;) {
    const frames = backlog.take(SLICE)
    yield* onLost
    for (const frame of frames) {
      link.send(frame)
      if (utterances && frame.endsSpeech) yield* feed.flushBehind
    }
    if (backlog.isEmpty()) {
      if (frames.at(-1)?.endsSpeech === true && feed.isOpen()) yield* feed.flushBehind
      return
    }
    yield* Effect.sleep(pace.idleInMs())
  }
})
