/**
 * EngineHangs: telling an engine that starts from one that hangs. Both leave a connection without an answer, but only one that starts leaves
 * every connection so.
 */
import { Deferred, Effect, Semaphore } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"

type Probe = Effect.Effect<void, EngineError>

export interface EngineHangs {
  /** Fails when the engine has answered a probe and this session, asked for before, is still not open. */
  readonly watched: <A, R>(opening: Effect.Effect<A, EngineError, R>) => Effect.Effect<A, EngineError, R>
}

/** A session is taken to be on its way for so long before it is asked whether the engine answers at all. */
const FIRST = "1 second"
/** An engine that answered at once takes its time for sessions: so much more. */
const SLOW_MS = 4_000
/** What was asked while the engine was not there is answered this much later than the first probe that found it. */
const GRACE_MS = 700

/** How an engine is asked that does not answer, ms: how often anew, and how long each question may take. */
interface Patience {
  readonly againMs: number
  readonly withinMs: number
}
const forPages: Patience = { againMs: 500, withinMs: 2_000 }
/** A session takes longer to open, and costs both sides more. */
const forSessions: Patience = { againMs: 2_000, withinMs: 5_000 }

/**
 * Whether an engine that has failed is back, asked of its page. Asks anew without waiting for an answer, because a connection that was lost on
 * the way is never answered. The first question stays: an engine that starts answers it when it has started.
 */
export const patient = (probe: Probe): Probe => Effect.raceFirst(probe, again(probe, forPages))

/** The same of its sessions, where there is no page, or one that says nothing. */
export const trial = (session: Probe, page?: Probe): Probe => Effect.raceFirst(session, back(session, page))

/** A voice's own session with an engine that has failed; fails when the engine is back, and this one was lost on the way. */
export const unlessBack = <A, R>(
  opening: Effect.Effect<A, EngineError, R>,
  session: Probe,
  page?: Probe
): Effect.Effect<A, EngineError, R> => Effect.raceFirst(opening, Effect.andThen(back(session, page), lost(GRACE_MS)))

/** One probe at a time, for all sessions of the engine that take long to open. */
export const make = (probe: Probe, now: () => number): Effect.Effect<EngineHangs> =>
  Effect.map(Semaphore.make(1), (once) => {
    let answeredMs = Number.NEGATIVE_INFINITY
    const ask = (sinceMs: number) =>
      once.withPermit(
        Effect.gen(function* () {
          if (answeredMs <= sinceMs) yield* insisting(probe, forPages)
          answeredMs = now()
        })
      )
    const hangs = Effect.gen(function* () {
      const sinceMs = now()
      yield* Effect.sleep(FIRST)
      const askedMs = now()
      yield* ask(sinceMs)
      return yield* lost(now() - askedMs < forPages.againMs ? SLOW_MS : GRACE_MS)
    })
    return { watched: (opening) => Effect.raceFirst(opening, hangs) }
  })

const lost = (graceMs: number): Effect.Effect<never, EngineError> =>
  Effect.delay(
    Effect.fail(new EngineError({ reason: "Unreachable", detail: "it answers, but opens no session" })),
    graceMs
  )

const back = (session: Probe, page?: Probe) =>
  page === undefined ? again(session, forSessions) : again(page, forPages)

const again = (probe: Probe, patience: Patience) => Effect.delay(insisting(probe, patience), patience.againMs)

/** Asks until one of many questions is answered in time. */
const insisting = (probe: Probe, { againMs, withinMs }: Patience): Effect.Effect<void> =>
  Effect.gen(function* () {
    const answered = yield* Deferred.make<void>()
    const ask = probe.pipe(
      Effect.andThen(Deferred.succeed(answered, undefined)),
      Effect.timeoutOption(withinMs),
      Effect.ignore
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.forkScoped(ask), Effect.sleep(againMs))))
    yield* Deferred.await(answered)
  }).pipe(Effect.scoped)
