/**
 * EngineCircuit: one engine as all voices share it. While its circuit is open it is left alone; then one probe asks whether it is back, and
 * only when it is do voices come, a few at a time.
 *
 * The circuit is Effect's `CircuitBreaker`. Its state is mirrored behind everything that may have changed it, because whoever chooses an
 * engine cannot wait for an answer.
 */
import { Deferred, Duration, Effect, Exit, Latch, Metric, type Scope, Semaphore } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { CircuitState, ConfiguredEngine } from "../services/Engines.ts"
import { EngineError, type EngineSession } from "../services/SpeechEngine.ts"
import * as EngineBudget from "./EngineBudget.ts"
import type { EngineComplaints } from "./EngineComplaints.ts"
import * as EngineHangs from "./EngineHangs.ts"
import * as EnginePrivacy from "./EnginePrivacy.ts"
import * as EngineSeats from "./EngineSeats.ts"
import * as Metrics from "./Metrics.ts"

export interface EngineCircuit {
  /** It works, as far as is known, and has a session to give. */
  readonly isReady: () => boolean
  /**
   * It may give more sessions than is known, or work again: one voice may ask when nobody else serves it. Where many wait the probe comes first.
   */
  readonly mayAsk: () => boolean
  /** Before it can be ready, ms; 0 when it is or nobody knows. */
  readonly waitMs: () => number
  /** A voice would have asked it: while it fails, it is probed for the next minute. `isAwaited`: nobody else captions that voice. */
  readonly want: (chosen: EnginePrivacy.Chosen, isAwaited: boolean) => void
  /** Opens a session. Fails at once as `Busy`, without having asked, when the engine turns out not to work meanwhile. */
  readonly open: (chosen: EnginePrivacy.Chosen) => Effect.Effect<EngineSession, EngineError, Scope.Scope>
  /** A session was lost `aliveMs` after it had opened. */
  readonly lost: (error: EngineError, aliveMs: number) => Effect.Effect<void>
  /** Wakes an engine that can be asked without opening a session, unless it is awake. Returns at once. */
  readonly wake: (chosen: EnginePrivacy.Chosen) => Effect.Effect<void>
}

/** Who learned that the engine fails: a voice, or the one probe that asks in all voices' place. */
type Learner = "Voice" | "Probe"

export interface EngineCircuitOptions {
  readonly configured: ConfiguredEngine
  readonly complaints: EngineComplaints
  readonly now: () => number
  /** 0…1. */
  readonly random: () => number
}

/** Longer than any engine's own limit: nothing an adapter forgets can hang a voice. */
const OPEN_LIMIT = "190 seconds"
/** Sessions of one engine that are being opened at a time: 500 voices that lose it come back in 32 turns, and no server meets them all. */
const MOST_OPENING = 16
/** A session that lived this long says nothing against its engine when it ends, which is asked again at once. */
const GOOD_MS = 60_000
/** A circuit that was closed for so long was closed by more than a lucky probe: the budget starts anew. */
const HEALTHY_MS = 10_000
/** Probes go on for so long after a voice wanted the engine: one that sleeps is not kept awake for nobody. */
const WANTED_MS = 60_000
/** Voices that wait look again sooner than this. */
const AWAITED_MS = 2_000
/** An engine that gave a sign of life, or was asked for one, is not woken again for so long (Kyutai on Modal goes to sleep after 120 s). */
const AWAKE_MS = 60_000
/** Every so many probes in a row that fail a session is tried: a server may have no page to ask, or a wrong one. */
const SESSION_EVERY = 4
/** The shortest rest: what the breaker takes where the budget asks for less. */
const LEAST_REST = "100 millis"

/** The circuit of one engine, closed; it ends with its scope. */
export const make = Effect.fnUntraced(function* (
  options: EngineCircuitOptions
): Effect.fn.Return<EngineCircuit, never, Scope.Scope | CircuitBreaker.CircuitBreakerStore> {
  const { complaints, configured, now, random } = options
  const { capabilities, probe: probed } = configured.engine
  const key = capabilities.name
  const scope = yield* Effect.scope
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: LEAST_REST
  })
  const openings = yield* Semaphore.make(MOST_OPENING)
  const isWanted = yield* Latch.make(false)
  const hangs = probed === undefined ? undefined : yield* EngineHangs.make(probed, now)
  const budget = EngineBudget.make(random)
  const seats = EngineSeats.make(configured, now)
  let state: CircuitState = "Closed"
  let opened = Deferred.makeUnsafe<void>()
  let openedMs = Number.NEGATIVE_INFINITY
  let restsUntilMs = Number.NEGATIVE_INFINITY
  let closedMs = now()
  let wantedMs = Number.NEGATIVE_INFINITY
  let awaitedMs = Number.NEGATIVE_INFINITY
  let aliveMs = Number.NEGATIVE_INFINITY
  let wanted: EnginePrivacy.Chosen | undefined
  let isWaking = false
  /** Since the circuit was closed last. */
  let probes = 0

  const turn = (to: CircuitState) => {
    state = to
    configured.turned(to)
  }
  const broke = (restMs: number) =>
    Effect.suspend(() => {
      restsUntilMs = now() + restMs
      if (state === "Open") return Effect.void
      const worked = state === "Closed"
      openedMs = now()
      // who wanted it while it worked says so again, or nobody needs it now
      if (worked) wantedMs = Number.NEGATIVE_INFINITY
      turn("Open")
      budget.spend({ worked })
      Deferred.doneUnsafe(opened, Effect.void)
      opened = Deferred.makeUnsafe()
      return Metric.update(Metric.withAttributes(Metrics.engineCircuitOpenings, { engine: key }), 1)
    })
  /** Behind everything that may have changed the breaker. */
  const mirror = Effect.flatMap(Effect.orDie(breaker.state(key)), (found) => {
    if (found._tag === "Open") return broke(Duration.toMillis(found.retryAfter))
    if (found._tag === "Closed" && state !== "Closed") {
      closedMs = now()
      probes = 0
      turn("Closed")
    }
    return Effect.void
  })

  /** What an attempt says of the engine. */
  const outcomeOf =
    (by: Learner) =>
    (exit: Exit.Exit<unknown, EngineError>): CircuitBreaker.Outcome => {
      if (Exit.isSuccess(exit)) {
        aliveMs = now()
        return CircuitBreaker.success
      }
      const error = Exit.findErrorOption(exit)
      const reason = error._tag === "Some" ? error.value : broken
      if (by === "Voice" && reason.reason === "Busy" && configured.health().sessions > 0) {
        seats.full()
        return CircuitBreaker.ignored
      }
      configured.failed(reason)
      const worked = state === "Closed"
      if (worked && now() - closedMs >= HEALTHY_MS) budget.reset()
      const isAwaited = now() - awaitedMs < AWAITED_MS
      const restMs = budget.restMs({ error: reason, worked, hasPage: probed !== undefined, isAwaited })
      return CircuitBreaker.failure({ retryAfter: restMs })
    }
  const guarded = <A, R>(attempt: Effect.Effect<A, EngineError, R>, by: Learner): Effect.Effect<A, EngineError, R> =>
    breaker
      .execute(
        Effect.tapError(attempt, (error) => complaints.about(options, error)),
        { key, classify: outcomeOf(by) }
      )
      .pipe(
        Effect.ensuring(mirror),
        Effect.catchTag("CircuitBreakerError", () => Effect.fail(passedOver))
      )

  const session = (chosen: EnginePrivacy.Chosen) => Effect.scoped(Effect.asVoid(EnginePrivacy.open(chosen)))
  const asking = (chosen: EnginePrivacy.Chosen) => {
    if (state === "Closed" && probed !== undefined) return probed
    probes += 1
    const isTrial = probed === undefined || probes % SESSION_EVERY === 0
    return isTrial ? EngineHangs.trial(session(chosen), probed) : EngineHangs.patient(probed)
  }
  /** Wherever the breaker lets the one attempt through that decides. */
  const probe = (chosen: EnginePrivacy.Chosen) =>
    Effect.suspend(() => {
      if (state === "Open") turn("HalfOpen")
      return inTime(asking(chosen))
    }).pipe((asked) => Effect.exit(guarded(asked, "Probe")))

  /** While the circuit is open and somebody wants the engine: one probe after the other, each behind its rest. */
  const probing = Effect.gen(function* () {
    for (;;) {
      yield* isWanted.await
      const restMs = restsUntilMs - now()
      if (state === "Closed" || wanted === undefined || now() - wantedMs > WANTED_MS) isWanted.closeUnsafe()
      else if (state === "HalfOpen") yield* Effect.sleep(LEAST_REST)
      else if (restMs > 0) yield* Effect.sleep(Math.ceil(restMs))
      else {
        yield* probe(wanted)
        // whatever the breaker made of it, the next probe is not at once
        if (restsUntilMs <= now()) yield* Effect.sleep(LEAST_REST)
      }
    }
  })
  yield* Effect.forkIn(probing, scope)

  const want = (chosen: EnginePrivacy.Chosen, isAwaited: boolean) => {
    wanted = chosen
    wantedMs = now()
    if (isAwaited) awaitedMs = now()
    if (state !== "Closed") isWanted.openUnsafe()
  }

  const isAskable = () => state === "Closed" || (state === "Open" && restsUntilMs <= now())
  const attempt = (chosen: EnginePrivacy.Chosen) =>
    Effect.suspend(() => {
      let isAsked = false
      const asked = Effect.suspend(() => {
        isAsked = true
        if (!isAskable()) return Effect.fail(passedOver)
        const opening = EnginePrivacy.open(chosen)
        if (state === "Closed") return guarded(inTime(hangs?.watched(opening) ?? opening), "Voice")
        turn("HalfOpen")
        return guarded(inTime(EngineHangs.unlessBack(opening, session(chosen), probed)), "Voice")
      })
      const passed = Effect.flatMap(Deferred.await(opened), () => (isAsked ? Effect.never : Effect.fail(passedOver)))
      return isAskable() ? Effect.raceFirst(openings.withPermit(asked), passed) : Effect.fail(passedOver)
    })

  return {
    isReady: () => state === "Closed" && seats.isFree(),
    mayAsk: () => isAskable() && seats.mayAsk(),
    waitMs: () => (state === "Open" ? Math.max(0, restsUntilMs - now()) : 0),
    want,
    open: Effect.fnUntraced(function* (chosen) {
      seats.asked()
      const session = yield* Effect.ensuring(attempt(chosen), Effect.sync(seats.decided))
      seats.gave()
      configured.opened()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          aliveMs = now()
          configured.closed()
        })
      )
      yield* complaints.settle(options)
      return session
    }),
    lost: (error, livedMs) =>
      Effect.suspend(() => {
        const isGood = livedMs >= GOOD_MS
        const isKnown = state !== "Closed" || now() - livedMs < openedMs
        if (isGood) budget.reset()
        if (error.retryable && (isGood || isKnown)) return complaints.about(options, error)
        return Effect.ignore(guarded(Effect.fail(error), "Voice"))
      }),
    wake: (chosen) =>
      Effect.suspend(() => {
        const isAwake = configured.health().sessions > 0 || now() - aliveMs < AWAKE_MS
        want(chosen, false)
        if (probed === undefined || state !== "Closed" || isWaking || isAwake) return Effect.void
        isWaking = true
        return probe(chosen).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              isWaking = false
            })
          ),
          Effect.forkIn(scope),
          Effect.asVoid
        )
      })
  }
})

const inTime = <A, R>(attempt: Effect.Effect<A, EngineError, R>): Effect.Effect<A, EngineError, R> =>
  Effect.timeoutOrElse(attempt, {
    duration: OPEN_LIMIT,
    orElse: () => Effect.fail(new EngineError({ reason: "Unreachable", detail: "no session was opened in time" }))
  })

/** What happened to an engine whose adapter has a bug. */
const broken = new EngineError({ reason: "Protocol", detail: "the engine's adapter broke" })
/** Nobody asked the engine: another voice had just learned that it does not work. */
const passedOver = new EngineError({ reason: "Busy", detail: "not asked, it has just failed for others" })
