/**
 * EngineLink: one open session with an engine, with all that is known of it: what it was sent and flushed, how fast, whether it still answers,
 * and who listens.
 */
import { Deferred, Effect, Exit, Latch, Scope, Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { SpeechEvent } from "../domain/Speech.ts"
import type { Resampler } from "../services/Resampler.ts"
import { type EngineCapabilities, EngineError } from "../services/SpeechEngine.ts"
import * as EngineLag from "./EngineLag.ts"
import type { Chosen, EnginePool } from "./EnginePool.ts"
import * as EngineRate from "./EngineRate.ts"
import * as Pace from "./Pace.ts"
import * as SessionFeed from "./SessionFeed.ts"
import * as StallWatch from "./StallWatch.ts"

/** Engines that may be sent audio faster than it was spoken take it at this rate (Kyutai's server computes at 3–4×). */
const FASTEST = 4

/** Flushes took 0.4–1.2 s with every engine that was measured; one that transcribes whole commits may be quiet for as long as that takes. */
const FLUSH_LIMIT_MS = { WordTimes: 3_000, KnownDelay: 3_000, Commits: 6_000 } as const

/** Who makes something of what a session says. Called in order, where the session has it. */
export interface Listener {
  /** What it gives is waited for before the next event. */
  readonly onEvent: (event: SpeechEvent) => Effect.Effect<void> | undefined
  /** A flush completed, of what ends at `position`; `paused` when nothing was sent since. */
  readonly onFlushed: (position: number, paused: boolean) => void
  /** The session must not be sent any more. */
  readonly onBroken: () => void
}

export interface EngineLink {
  readonly chosen: Chosen
  readonly capabilities: EngineCapabilities
  readonly openedMs: number
  /** It says its last words only when it is told that no more audio comes, and may hang up behind them. */
  readonly finishes: boolean
  readonly feed: SessionFeed.SessionFeed
  readonly pace: Pace.Pace
  /** Of its pool, see there. */
  readonly turn: number
  readonly send: (frame: AudioFrame) => void
  /** Nothing of the samples it was sent is kept. */
  readonly copies: boolean
  /** It has certainly computed everything up to here (samples), or been asked to and shown that it works. */
  readonly hasHeard: (position: number) => boolean
  /** It has said a word. */
  readonly hasSpoken: () => boolean
  /** From now on this one listens; nothing is read from the session before there is anybody. */
  readonly attend: (listener: Listener) => void
  /** The mark that the session has reached was taken; waits a second for it at most. */
  readonly marked: Effect.Effect<void>
  /** Fails with the reason when the session ends by itself, behind all it said. */
  readonly ended: Effect.Effect<never, EngineError>
  /** Brings what the engine tells of its progress up to date, and gives the watch over it. */
  readonly watch: () => StallWatch.StallWatch
  /** It falls further and further behind speech that it is sent as it is spoken. */
  readonly isFallingBehind: () => boolean
  /** Ends the session; `lost` when it had not been ours to end. */
  readonly close: (lost?: EngineError) => Effect.Effect<void>
}

export interface LinkOptions {
  readonly pool: EnginePool
  readonly resampler: Resampler["Service"]
  readonly now: () => number
}

/** Opens a session; it ends with `close`, or with the scope. A bug in an adapter costs its own session and nothing else. */
export const open = Effect.fnUntraced(function* (
  chosen: Chosen,
  { now, pool, resampler }: LinkOptions
): Effect.fn.Return<EngineLink, EngineError, Scope.Scope> {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const attempt = Effect.gen(function* () {
    const session = yield* pool.open(chosen)
    const { capabilities } = chosen.configured.engine
    const watch = StallWatch.make(() => session.progress !== undefined)
    const lag = EngineLag.make()
    const pace = Pace.make(capabilities.fasterThanRealtime ? FASTEST : 1, now)
    const attended = yield* Latch.make(false)
    const ended = yield* Deferred.make<never, EngineError>()
    const atEngineRate = EngineRate.make(resampler, capabilities.sampleRate)
    let listener: Listener | undefined
    let aliveMs = now()
    let hasSpoken = false
    let markedTo = 0
    let progress = Number.NEGATIVE_INFINITY
    const lookAtProgress = () => {
      const position = session.progress?.() ?? progress
      if (position <= progress) return
      progress = position
      aliveMs = now()
      watch.progressed(now())
      lag.progressed(position)
    }
    const feed = yield* SessionFeed.make({
      session: { ...session, send: (frame) => session.send(atEngineRate(frame)) },
      now,
      aliveMs: () => {
        lookAtProgress()
        return aliveMs
      },
      busyMs: pace.idleInMs,
      flushLimitMs: FLUSH_LIMIT_MS[capabilities.mark],
      onFlushed: (position, paused) => listener?.onFlushed(position, paused),
      onBroken: () => listener?.onBroken()
    })
    const hear = (event: SpeechEvent): Effect.Effect<void> | undefined => {
      aliveMs = now()
      if (event._tag === "Marked") {
        markedTo = event.position
        // an engine that has fallen silent in the middle of speech looks as if it had said everything
        if (capabilities.mark === "KnownDelay" && watch.owes(event.position)) return undefined
        watch.proven()
      }
      if (saysSomething(event)) {
        watch.answered(now())
        hasSpoken = true
      }
      return listener?.onEvent(event)
    }
    const heard: Effect.Effect<void, EngineError> =
      session.hear?.(hear) ?? Stream.runForEach(session.events, (event) => hear(event) ?? Effect.void)
    yield* attended.await.pipe(
      Effect.andThen(heard),
      Effect.andThen(Effect.fail(new EngineError({ reason: "Closed", detail: "the session ended without a reason" }))),
      Effect.raceFirst(feed.broken),
      asEngineError,
      Effect.catch((error) => Deferred.fail(ended, error)),
      Effect.forkScoped
    )
    return {
      chosen,
      capabilities,
      openedMs: now(),
      turn: pool.turn(),
      finishes: session.finish !== undefined,
      feed,
      pace,
      send: (frame) => {
        feed.send(frame)
        pace.sent(frame)
        watch.sent(frame, now())
        if (session.progress !== undefined) lag.sent(frame)
      },
      copies: session.copies === true,
      hasHeard: (position) => {
        if (session.progress !== undefined) return session.progress() >= position
        // an engine that completes a flush because nothing is heard of it has proved nothing
        return feed.flushedTo() >= position && (hasSpoken || capabilities.mark !== "KnownDelay")
      },
      hasSpoken: () => hasSpoken,
      attend: (next) => {
        listener = next
        attended.openUnsafe()
      },
      marked: Effect.whileLoop({
        while: () => markedTo < session.mark(),
        body: () => Effect.sleep(1),
        step: () => {}
      }).pipe(Effect.timeoutOption("1 second"), Effect.asVoid),
      ended: Deferred.await(ended),
      watch: () => {
        lookAtProgress()
        return watch
      },
      isFallingBehind: () => {
        lookAtProgress()
        return lag.isFallingBehind(now())
      },
      close: (lost) => Scope.close(scope, lost === undefined ? Exit.void : Exit.fail(lost))
    } satisfies EngineLink
  })
  return yield* attempt.pipe(
    Scope.provide(scope),
    asEngineError,
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
  )
})

/** An adapter with a bug has lost its session. */
const asEngineError = <A, R>(effect: Effect.Effect<A, EngineError, R>): Effect.Effect<A, EngineError, R> =>
  Effect.catchDefect(effect, (defect) =>
    Effect.logError("bug in a speech engine", defect).pipe(
      Effect.andThen(Effect.fail(new EngineError({ reason: "Protocol", detail: "the engine's adapter broke" })))
    )
  )

const saysSomething = (event: SpeechEvent): boolean => {
  switch (event._tag) {
    case "Appended":
      return event.words.length > 0
    case "Replaced":
      return event.text !== ""
    case "Completed":
      return (event.text ?? "") !== ""
    default:
      return false
  }
}
