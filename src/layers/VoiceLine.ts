/**
 * VoiceLine: where the frames of one voice go: to the session that is connected, else into the backlog.
 */
import { Effect, Latch, Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as FrameBacklog from "./FrameBacklog.ts"

export interface VoiceLine {
  readonly backlog: FrameBacklog.FrameBacklog
  /** Frames go there from now on; connect only when the backlog is empty, else the order is lost. */
  readonly connect: (deliver: (frame: AudioFrame) => Effect.Effect<void>) => void
  /** Frames go into the backlog from now on. */
  readonly disconnect: () => void
  /** Reads the voice until it ends. */
  readonly feed: Effect.Effect<void>
  /** The voice has ended: no frame comes any more. */
  readonly ended: () => boolean
  /** Wakes whoever waits in `rung`. */
  readonly ring: () => void
  /** Waits until a frame went into the backlog, the voice ended, or somebody rang. For one at a time. */
  readonly rung: Effect.Effect<void>
}

/** The line of a voice that nobody is connected to yet. */
export const make = (voice: Voice): VoiceLine => {
  const backlog = FrameBacklog.make(voice.replay)
  const bell = Latch.makeUnsafe(false)
  let deliver: ((frame: AudioFrame) => Effect.Effect<void>) | undefined
  let ended = false
  const store = (frame: AudioFrame) => {
    backlog.add(frame)
    bell.openUnsafe()
  }
  return {
    backlog,
    connect: (to) => {
      deliver = to
    },
    disconnect: () => {
      deliver = undefined
    },
    feed: voice.frames.pipe(
      Stream.runForEach((frame) => (deliver === undefined ? Effect.sync(() => store(frame)) : deliver(frame))),
      Effect.ensuring(
        Effect.sync(() => {
          ended = true
          bell.openUnsafe()
        })
      )
    ),
    ended: () => ended,
    ring: () => {
      bell.openUnsafe()
    },
    rung: Effect.tap(bell.await, () => bell.close)
  }
}
