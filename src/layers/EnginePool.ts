/**
 * EnginePool: the engines of a deployment as all voices share them. Who is asked, when again, and how they fare.
 */
import { Effect, Exit, Random, type Scope } from "effect"
import type { LanguageId } from "../domain/Language.ts"
import type { ConfiguredEngine } from "../services/Engines.ts"
import { EngineError, type EngineSession } from "../services/SpeechEngine.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as EngineComplaints from "./EngineComplaints.ts"
import { monotonicMs } from "./Monotonic.ts"

/** An engine for a voice, and the voice's language as that engine calls it. */
export interface Chosen {
  readonly configured: ConfiguredEngine
  readonly language: LanguageId
}

/** What of a voice decides who may be asked. */
export type Asking = Pick<Voice, "engine" | "language" | "privacy">

export interface EnginePool {
  /**
   * Whom to ask now: the best role first, of those that know the language and may hear the voice; passing over circuits that are open and
   * engines that are full.
   */
  readonly choose: (voice: Asking) => Chosen | undefined
  /** Until `choose` may give one, ms, with jitter, so that voices come back spread; Infinity where there will never be one. */
  readonly waitMs: (voice: Asking) => number
  /** One of a better role than `current` that would serve now (its circuit is closed, it was probed if it had failed). */
  readonly preferred: (voice: Asking, current: Chosen) => Chosen | undefined
  /** Who captions while `chosen` takes its time to open, if anybody may: a `Cover`, never a `LastResort`. */
  readonly cover: (voice: Asking, chosen: Chosen) => Chosen | undefined
  /** Opens a session: through the engine's circuit, at most so many at a time. Counted as opened until its scope closes. */
  readonly open: (chosen: Chosen) => Effect.Effect<EngineSession, EngineError, Scope.Scope>
  /** An open session was lost `aliveMs` after it had opened (accept-then-close is a failure of the engine, one loss after minutes is not). */
  readonly lost: (chosen: Chosen, error: EngineError, aliveMs: number) => Effect.Effect<void>
  /** Engines that sleep and could be asked for such a voice are woken; returns at once. */
  readonly prepare: (voice: Pick<Voice, "language" | "privacy">) => Effect.Effect<void>
}

/** Longer than any engine's own limit: nothing an adapter forgets can hang a voice. */
const OPEN_LIMIT = "190 seconds"

/** A pool of these engines, in the order in which they are tried; it ends with its scope. */
export const make = Effect.fnUntraced(function* (
  engines: ReadonlyArray<ConfiguredEngine>
): Effect.fn.Return<EnginePool, never, Scope.Scope> {
  const now = yield* monotonicMs
  const random = yield* Random.Random
  const choice = EngineChoice.make(engines, now)
  const complaints = EngineComplaints.make(engines.length)
  const candidates = new Map<ConfiguredEngine, EngineChoice.Candidate>()
  const asked = (voice: Asking): EngineChoice.Chosen | undefined => {
    const chosen = choice(voice)
    if (chosen !== undefined) candidates.set(chosen.configured, chosen)
    return chosen
  }
  const failed = (
    chosen: Chosen,
    error: EngineError,
    attempt: { readonly triedMs: number; readonly openedMs?: number }
  ) =>
    Effect.suspend(() => {
      const candidate = candidates.get(chosen.configured)
      if (candidate === undefined) return Effect.void
      chosen.configured.failed(error)
      candidate.backoff.failed(error, attempt)
      return complaints.about(candidate, error)
    })
  return {
    choose: (voice) => {
      const chosen = asked(voice)
      return chosen === undefined || chosen.backoff.waitMs() > 0 ? undefined : chosen
    },
    waitMs: (voice) => {
      const chosen = asked(voice)
      if (chosen === undefined) return Number.POSITIVE_INFINITY
      const waitMs = chosen.backoff.waitMs()
      return waitMs === 0 ? 0 : waitMs + chosen.backoff.spreadMs() * random.nextDoubleUnsafe()
    },
    preferred: () => undefined,
    cover: () => undefined,
    open: (chosen) =>
      Effect.gen(function* () {
        const { configured, language } = chosen
        const triedMs = now()
        const session = yield* configured.engine.open({ language }).pipe(
          Effect.timeoutOrElse({
            duration: OPEN_LIMIT,
            orElse: () =>
              Effect.fail(new EngineError({ reason: "Unreachable", detail: "no session was opened in time" }))
          }),
          Effect.tapError((error) => failed(chosen, error, { triedMs }))
        )
        configured.opened()
        const candidate = candidates.get(configured)
        yield* Effect.addFinalizer((exit) =>
          Effect.sync(() => {
            configured.closed()
            if (Exit.isSuccess(exit)) candidate?.backoff.proved()
          })
        )
        if (candidate !== undefined) yield* complaints.settle(candidate)
        return session
      }),
    lost: (chosen, error, aliveMs) => {
      const openedMs = now() - aliveMs
      return failed(chosen, error, { triedMs: openedMs, openedMs })
    },
    prepare: () => Effect.void
  }
})
