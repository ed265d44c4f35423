/**
 * EngineHangs: telling an engine that starts from one that hangs. Both leave a connection without an answer, but only one that starts leaves
 * every connection so.
 */
import { type Duration, Effect, Semaphore } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"

type Probe = Effect.Effect<void, EngineError>

export interface EngineHangs {
  /** Fails when the engine has answered a probe and this session, asked for before, is still not open. */
  readonly watched: <A, R>(opening: Effect.Effect<A, EngineError, R>) => Effect.Effect<A, EngineError, R>
}

/** An engine that runs has answered by then. */
const SOON = "2 seconds"
/** Between two probes of an engine that has failed. */
const AGAIN = "1 second"
/** The same of one that may well be starting. */
const AGAIN_AT_START = "3 seconds"
/** What was asked while the engine started is answered this much later than the probe that found it started. */
const GRACE = "2 seconds"

/** Asks once and waits; meanwhile asks anew, because a connection that was lost on the way is never answered. */
export const patient = (probe: Probe): Probe => Effect.raceFirst(probe, repeatedly(probe, AGAIN))

/** One probe at a time, for all sessions of the engine that take long to open. */
export const make = (probe: Probe, now: () => number): Effect.Effect<EngineHangs> =>
  Effect.map(Semaphore.make(1), (once) => {
    let answeredMs = Number.NEGATIVE_INFINITY
    const noted = Effect.sync(() => {
      answeredMs = now()
    })
    const ask = (sinceMs: number) =>
      once.withPermit(Effect.suspend(() => (answeredMs > sinceMs ? Effect.void : Effect.andThen(soon(probe), noted))))
    const hangs = Effect.gen(function* () {
      yield* repeatedly(ask(now()), AGAIN_AT_START)
      yield* Effect.sleep(GRACE)
      return yield* new EngineError({ reason: "Unreachable", detail: "it answers, but opens no session" })
    })
    return { watched: (opening) => Effect.raceFirst(opening, hangs) }
  })

/** Until it answers in time; the first time after a while. */
const repeatedly = (probe: Probe, again: Duration.Input): Effect.Effect<void> =>
  Effect.eventually(Effect.delay(soon(probe), again))

const soon = (probe: Probe): Probe =>
  Effect.timeoutOrElse(probe, {
    duration: SOON,
    orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "no answer" }))
  })
