/**
 * VoiceLine: where the frames of one voice go: to the session that is connected, else into the backlog.
 */
import { Effect, Latch, Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { TakeFrame, Voice } from "../services/Transcriber.ts"
import * as FrameBacklog from "./FrameBacklog.ts"

/** Where frames go while a session is connected. */
export interface Receiver {
  /** Until it takes the next frame, ms; 0: at once. */
  readonly waitMs: () => number
  /** Tells whether nothing of the frame is kept. */
  readonly deliver: (frame: AudioFrame) => boolean
  /** To be done behind a frame that ends speech, before the next one is delivered. */
  readonly pause: Effect.Effect<void>
}

export interface VoiceLine {
  readonly backlog: () => FrameBacklog.FrameBacklog
  /** A backlog for a second session: what has to be sent again, and from now on every frame besides. One at a time. */
  readonly tap: () => FrameBacklog.FrameBacklog
  readonly untap: () => void
  /** The second session's backlog takes the place of the first one's. */
  readonly adopt: () => void
  /** Frames go there from now on. `false`: there are some in the backlog, which have to go first. */
  readonly connect: (to: Receiver) => boolean
  readonly isConnected: () => boolean
  /** Frames go into the backlog from now on. */
  readonly disconnect: () => void
  /** Reads the voice until it ends; takes what need not wait from where it is heard. A frame that nobody takes yet holds up a voice that waits, once the backlog is full. */
  readonly feed: Effect.Effect<void>
  /** The voice has ended: no frame comes any more. */
  readonly ended: () => boolean
  /** Ends replays that are under way. */
  readonly close: () => void
  /** Wakes whoever waits in `rung`. */
  readonly ring: () => void
  /** Waits until a frame went into the backlog, the voice ended, or somebody rang. For one at a time. */
  readonly rung: Effect.Effect<void>
}

/** The line of a voice that nobody is connected to yet. */
export const make = (voice: Voice): VoiceLine => {
  let backlog = FrameBacklog.make(voice.replay, voice.begun?.position)
  let tapped: FrameBacklog.FrameBacklog | undefined
  const bell = Latch.makeUnsafe(false)
  const connected = Latch.makeUnsafe(false)
  let receiver: Receiver | undefined
  let ended = false
  /** Taken and held up. */
  let routed: AudioFrame | undefined
  /** Where the newest frame begins that came through the stream and is where it belongs. */
  let readTo = Number.NEGATIVE_INFINITY
  const store = (frame: AudioFrame) => {
    backlog.add(frame)
    bell.openUnsafe()
  }
  /** What is to be waited for until the frame is where it belongs. */
  const route = (frame: AudioFrame): Effect.Effect<void> | undefined => {
    const to = receiver
    if (to === undefined) {
      if (voice.waits === true && backlog.isFull()) return Effect.andThen(connected.await, later(frame))
      store(frame)
      return undefined
    }
    const waitMs = to.waitMs()
    // whoever is connected then takes it
    if (waitMs > 0) return Effect.andThen(Effect.sleep(waitMs), later(frame))
    to.deliver(frame)
    return frame.endsSpeech ? to.pause : undefined
  }
  const later = (frame: AudioFrame): Effect.Effect<void> => Effect.suspend(() => route(frame) ?? Effect.void)
  const routeAll = (frames: ReadonlyArray<AudioFrame>, from: number): Effect.Effect<void> => {
    for (let n = from; n < frames.length; n++) {
      const frame = frames[n]
      if (frame === undefined) continue
      routed = frame
      tapped?.add(frame)
      const wait = route(frame)
      if (wait !== undefined) {
        return Effect.flatMap(wait, () => {
          arrived(frame)
          return routeAll(frames, n + 1)
        })
      }
      arrived(frame)
    }
    return Effect.void
  }
  const arrived = (frame: AudioFrame) => {
    routed = undefined
    readTo = frame.position
  }
  /** What need not wait is where it belongs without a turn of the event loop. */
  const take: TakeFrame = (frame, behind) => {
    if (behind > readTo) return "Left"
    if (receiver === undefined ? voice.waits === true && backlog.isFull() : frame.endsSpeech || receiver.waitMs() > 0)
      return "Left"
    tapped?.add(frame)
    const isTapped = tapped !== undefined
    if (receiver !== undefined) return receiver.deliver(frame) && !isTapped ? "Used" : "Kept"
    store(frame)
    return "Kept"
  }
  const untap = () => {
    tapped?.close()
    tapped = undefined
  }
  return {
    backlog: () => backlog,
    tap: () => {
      untap()
      tapped = backlog.fork()
      if (routed !== undefined) tapped.add(routed)
      return tapped
    },
    untap,
    adopt: () => {
      if (tapped === undefined) return
      backlog.close()
      backlog = tapped
      tapped = undefined
    },
    connect: (to) => {
      if (!backlog.isEmpty()) return false
      receiver = to
      connected.openUnsafe()
      return true
    },
    isConnected: () => receiver !== undefined,
    disconnect: () => {
      receiver = undefined
      connected.closeUnsafe()
    },
    feed: Effect.suspend(() => {
      voice.direct?.(take)
      return Stream.runForEachArray(voice.frames, (frames) => routeAll(frames, 0))
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          voice.direct?.(undefined)
          ended = true
          bell.openUnsafe()
        })
      )
    ),
    ended: () => ended,
    close: () => {
      untap()
      backlog.close()
    },
    ring: () => {
      bell.openUnsafe()
    },
    rung: Effect.tap(bell.await, () => bell.close)
  }
}
