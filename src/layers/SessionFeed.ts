/**
 * SessionFeed: what one engine session was sent, and how much of it the engine has finished with.
 */
import { Deferred, Effect, type Scope } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import { EngineError, type EngineSession } from "../services/SpeechEngine.ts"
import * as Standstill from "./Standstill.ts"

/** Behind a standstill: until what had come meanwhile is read. */
const GRACE_MS = 50

export interface SessionFeed {
  readonly send: (frame: AudioFrame) => void
  /** The last: completes when the engine has finished what was sent, or will not. No frame may follow. */
  readonly finish: Effect.Effect<void>
  /** Begins to flush and lets frames go on meanwhile. */
  readonly flushBehind: Effect.Effect<void>
  /** Everything that was sent is flushed. */
  readonly isPaused: () => boolean
  /** Something was sent and no flush was asked for since. */
  readonly isOpen: () => boolean
  /** Anything was ever sent. */
  readonly hasSent: () => boolean
  /** Up to where a flush has completed (samples). */
  readonly flushedTo: () => number
  /** When the last frame was sent or the last flush behind completed. */
  readonly activeMs: () => number
  /** Dies with whatever the session's `send` threw; fails as `Silent` when a flush is overdue. */
  readonly broken: Effect.Effect<never, EngineError>
}

export interface Options {
  readonly session: EngineSession
  readonly now: () => number
  /** When the engine gave its newest sign of life, and how long it needs for what it was sent, ms. */
  readonly aliveMs: () => number
  readonly busyMs: () => number
  /** A flush that is not completed is overdue behind so much time without a sign of life. */
  readonly flushLimitMs: number
  /** A flush behind completed, of what ends at `position`; `paused` when nothing was sent meanwhile. */
  readonly onFlushed: (position: number, paused: boolean) => void
  /** The session's `send` threw: it must not be called again. */
  readonly onBroken: () => void
}

/** A feed that has sent nothing yet. Flushes behind end with the scope; nothing an engine throws reaches the caller of `send`. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<SessionFeed, never, Scope.Scope> {
  const { now, onBroken, onFlushed, session } = options
  const scope = yield* Effect.scope
  const broken = yield* Deferred.make<never, EngineError>()
  /** Frames sent; and how many of them a flush was asked for, and completed for. */
  let sent = 0
  let asked = 0
  let flushed = 0
  let sentTo = 0
  let flushedTo = 0
  let activeMs = now()

  const overdue = Effect.suspend(() => {
    const askedMs = now() + options.busyMs()
    return Effect.gen(function* () {
      const leftMs = () => Math.max(askedMs, options.aliveMs()) + options.flushLimitMs - now()
      for (let stood = false; leftMs() > 0 || stood; )
        stood = yield* Standstill.sleep(Math.max(GRACE_MS, leftMs()), now)
      const error = new EngineError({ reason: "Silent", detail: "it does not finish what it was sent" })
      Deferred.doneUnsafe(broken, Effect.fail(error))
      return yield* error
    })
  })
  const bounded = (flushing: Effect.Effect<void, EngineError>) =>
    Effect.raceFirst(flushing, overdue).pipe(
      // what was said in the same moment is still on its way to its reader
      Effect.ensuring(Effect.yieldNow)
    )
  const flush = Effect.suspend(() => {
    asked = sent
    return bounded(session.flush)
  })
  const flushBehind = Effect.suspend(() => {
    const upTo = sent
    const position = sentTo
    const completed = Effect.sync(() => {
      flushed = Math.max(flushed, upTo)
      flushedTo = Math.max(flushedTo, position)
      activeMs = now()
      onFlushed(position, sent === upTo)
    })
    // a session that broke says so through its events
    return flush.pipe(Effect.andThen(completed), Effect.ignore, Effect.forkIn(scope, { startImmediately: true }))
  })
  return {
    send: (frame) => {
      sent += 1
      sentTo = frame.position + frame.pcm.length
      activeMs = now()
      try {
        session.send(frame)
      } catch (defect) {
        onBroken()
        Deferred.doneUnsafe(broken, Effect.die(defect))
      }
    },
    // a session that broke says so through its events
    finish: Effect.suspend(() => {
      const position = sentTo
      const completed = Effect.sync(() => {
        flushedTo = Math.max(flushedTo, position)
      })
      const last = session.finish !== undefined && sent > 0 ? bounded(session.finish) : flush
      return sent === flushed && session.finish === undefined
        ? Effect.void
        : Effect.ignore(Effect.andThen(last, completed))
    }),
    flushBehind: Effect.asVoid(flushBehind),
    isPaused: () => sent === flushed,
    isOpen: () => asked < sent,
    hasSent: () => sent > 0,
    flushedTo: () => flushedTo,
    activeMs: () => activeMs,
    broken: Deferred.await(broken)
  }
})
