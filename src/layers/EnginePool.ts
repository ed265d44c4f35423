/**
 * EnginePool: the engines of a deployment as all voices share them. Who is asked, who steps in, who is asked again and when.
 *
 * Its parts, by what they remember: `EngineRoster` (who may caption a voice, by role, language and privacy), `EngineCircuit` (how one engine
 * does) with `EngineBudget` (how long it is left alone) and `EngineSeats` (how many sessions it gives), `EngineComplaints` (what the log
 * says).
 */
import { Clock, Context, Effect, Layer, Random, type Scope } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { ConfiguredEngine, EngineTrouble } from "../services/Engines.ts"
import type { EngineError, EngineSession } from "../services/SpeechEngine.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as EngineCircuit from "./EngineCircuit.ts"
import * as EngineComplaints from "./EngineComplaints.ts"
import type { Chosen } from "./EnginePrivacy.ts"
import * as EngineRoster from "./EngineRoster.ts"
import { monotonicMs } from "./Monotonic.ts"

export type { Chosen } from "./EnginePrivacy.ts"
export type { Asking } from "./EngineRoster.ts"

type Asking = EngineRoster.Asking

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
  /** Evenly spread over 0–1 from one to the next: sessions that were opened together need not do the same thing together. */
  readonly turn: () => number
  /** An open session was lost `aliveMs` after it had opened (accept-then-close is a failure of the engine, one loss after minutes is not). */
  readonly lost: (chosen: Chosen, error: EngineError, aliveMs: number) => Effect.Effect<void>
  /** Why `choose` gives nobody, if it does not. */
  readonly trouble: (voice: Asking) => EngineTrouble | undefined
  /** Engines that sleep and could be asked for such a voice are woken; returns at once. */
  readonly prepare: (voice: Pick<Voice, "language" | "privacy">) => Effect.Effect<void>
}

/** How often a voice looks again while a probe is under way or all are full; between one and two of these. */
const LOOK_AGAIN_MS = 75
/** The golden ratio: however many there are, each multiple of it falls into the widest gap that those before it have left. */
const TURN = (Math.sqrt(5) - 1) / 2

/** A pool of these engines, by their roles and then in their order; it ends with its scope. */
export const make = Effect.fnUntraced(function* (
  engines: ReadonlyArray<ConfiguredEngine>
): Effect.fn.Return<EnginePool, never, Scope.Scope> {
  const now = yield* monotonicMs
  const { nextDoubleUnsafe: random } = yield* Random.Random
  const store = yield* steadyStore
  const complaints = EngineComplaints.make(engines.length)
  const roster = EngineRoster.make(engines)
  const circuits = new Map<ConfiguredEngine, EngineCircuit.EngineCircuit>()
  for (const configured of engines) {
    const circuit = yield* EngineCircuit.make({ configured, complaints, now, random }).pipe(
      Effect.provideService(CircuitBreaker.CircuitBreakerStore, store)
    )
    circuits.set(configured, circuit)
  }
  let turns = 0
  const circuitOf = ({ configured }: Chosen) => circuits.get(configured)
  const isReady = (chosen: Chosen) => circuitOf(chosen)?.isReady() === true
  const mayAsk = (chosen: Chosen) => circuitOf(chosen)?.mayAsk() === true
  /** The first that is so; those before it are wanted: who failed is probed, the more often where nobody captions. */
  const first = (candidates: ReadonlyArray<Chosen>, isSo: (one: Chosen) => boolean, isServed = false) => {
    const index = candidates.findIndex(isSo)
    const isAwaited = index < 0 && !isServed
    for (const one of index < 0 ? candidates : candidates.slice(0, index)) circuitOf(one)?.want(one, isAwaited)
    return candidates[index]
  }
  return {
    choose: (voice) => {
      const candidates = roster(voice)
      return candidates.some(isReady) ? first(candidates, isReady) : first(candidates, mayAsk)
    },
    waitMs: (voice) => {
      const candidates = roster(voice)
      if (candidates.length === 0) return Number.POSITIVE_INFINITY
      if (candidates.some(isReady) || candidates.some(mayAsk)) return 0
      const soonest = candidates.map((one) => circuitOf(one)?.waitMs() ?? 0)
      return Math.ceil(Math.min(...soonest) + LOOK_AGAIN_MS * (1 + random()))
    },
    preferred: (voice, current) => {
      const rank = EngineRoster.rankOf(current.configured, voice)
      // every session asks once a second, and mostly has the first of all
      if (!engines.some((one) => EngineRoster.rankOf(one, voice) < rank)) return undefined
      const better = roster(voice).filter(({ configured }) => EngineRoster.rankOf(configured, voice) < rank)
      return first(better, isReady, true)
    },
    cover: (voice, chosen) => {
      if (EngineRoster.rankOf(chosen.configured, voice) >= EngineRoster.roleRanks.Cover) return undefined
      const covers = roster(voice).filter(
        ({ configured }) => configured.role === "Cover" && configured !== chosen.configured
      )
      return first(covers, isReady)
    },
    open: (chosen) => circuitOf(chosen)?.open(chosen) ?? stranger,
    turn: () => (turns++ * TURN) % 1,
    lost: (chosen, error, aliveMs) => circuitOf(chosen)?.lost(error, aliveMs) ?? stranger,
    trouble: (voice) => {
      const healths = roster(voice).map(({ configured }) => configured.health())
      if (healths.some(({ circuit }) => circuit === "Closed")) return undefined
      if (healths.length === 0) return "NotAllowed"
      return healths.every(({ reason }) => reason === "Refused") ? "Refused" : "Away"
    },
    prepare: (voice) =>
      Effect.suspend(() => {
        const [best, ...others] = roster(voice)
        if (best === undefined) return Effect.void
        const equals = others.filter(({ configured }) => configured.role === best.configured.role)
        return Effect.forEach([best, ...equals], (one) => circuitOf(one)?.wake(one) ?? stranger, { discard: true })
      })
  }
})

/** An engine of another pool: a bug. */
const stranger = Effect.die(new Error("an engine that is not of this pool"))

/** Circuits are timed by the monotonic clock: who sets the wall clock back does not keep an engine away. */
const steadyStore = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const now = yield* monotonicMs
  const steady: Clock.Clock = {
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    currentTimeNanos: clock.monotonicTimeNanos,
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
  const { admit, record, state } = Context.get(
    yield* Layer.build(CircuitBreaker.layerStoreMemory()),
    CircuitBreaker.CircuitBreakerStore
  )
  const onTime = Effect.provideService(Clock.Clock, steady)
  return CircuitBreaker.CircuitBreakerStore.of({
    admit: (key) => onTime(admit(key)),
    record: (outcome) => onTime(record(outcome)),
    state: (key) => onTime(state(key))
  })
})
