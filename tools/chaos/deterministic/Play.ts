/**
 * Play: a scenario on the test clock, from the first frame until every stream has ended; and what came of it.
 */
import { Context, Effect, Layer, Metric, Random, References, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Transcribed } from "../../../src/domain/Segment.ts"
import * as EngineHealth from "../../../src/layers/EngineHealth.ts"
import * as EngineTranscriber from "../../../src/layers/EngineTranscriber.ts"
import { monotonicMs } from "../../../src/layers/Monotonic.ts"
import { Engines } from "../../../src/services/Engines.ts"
import { Transcriber } from "../../../src/services/Transcriber.ts"
import * as Dice from "../Dice.ts"
import * as OracleEngine from "./OracleEngine.ts"
import type { Scenario, VoicePlan } from "./Scenario.ts"
import * as SimulatedVoice from "./SimulatedVoice.ts"

/** One thing that was read of a voice. */
export interface Read {
  readonly atMs: number
  readonly what: Transcribed
  /** The first sample the voice could have been heard from again at that time. */
  readonly oldest: number
}

export interface VoiceOutcome {
  readonly plan: VoicePlan
  readonly simulated: SimulatedVoice.SimulatedVoice
  readonly read: Array<Read>
  /** When its stream ended, if ever. */
  endedMs: number | undefined
}

export interface Outcome {
  readonly scenario: Scenario
  readonly voices: ReadonlyArray<VoiceOutcome>
  readonly sessions: ReadonlyArray<OracleEngine.SessionRecord>
  /** What happened to engines, by time. */
  readonly story: ReadonlyArray<{ readonly atMs: number; readonly what: string }>
  /** Promises that were seen to be broken while it was played. */
  readonly complaints: ReadonlyArray<string>
}

/** More than the last words of any voice may take, and a recording that is heard at the pace of speech. */
const AFTERWARDS_MS = 150_000

/** Plays it on the test clock, which must be the clock. Nothing it does outlives it. */
export const play = (scenario: Scenario): Effect.Effect<Outcome> =>
  Effect.scoped(scene(scenario)).pipe(
    Random.withSeed(`chaos ${scenario.seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (scenario: Scenario): Effect.fn.Return<Outcome, never, Scope.Scope> {
  const monotonic = yield* monotonicMs
  const now = () => Math.round(monotonic() * 1000) / 1000
  const story: Array<{ readonly atMs: number; readonly what: string }> = []
  const complaints: Array<string> = []
  const at = (what: string) => `${(now() / 1000).toFixed(2)} s: ${what}`
  const world: OracleEngine.World = {
    speakers: scenario.voices.map(({ id, stretches, unspaced }) => ({
      id,
      unspaced,
      words: stretches.flatMap(({ words }) => words)
    })),
    now,
    dice: Dice.make(scenario.seed).fork("engines"),
    note: (what) => story.push({ atMs: now(), what }),
    complain: (what) => complaints.push(at(what))
  }
  const engines = scenario.engines.map((plan) => ({ plan, oracle: OracleEngine.make(plan, world) }))
  const configured = engines.map(({ oracle, plan }) => EngineHealth.make(oracle.engine, plan.role))
  const built = yield* Layer.build(EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, configured))))
  const transcriber = Context.get(built, Transcriber)

  const voices = yield* Effect.forEach(scenario.voices, (plan, index) =>
    Effect.gen(function* () {
      const simulated = yield* SimulatedVoice.make(plan, index, now)
      const outcome: VoiceOutcome = { plan, simulated, read: [], endedMs: undefined }
      const reading = transcriber.transcribe(simulated.voice).pipe(
        Stream.runForEach((what) =>
          Effect.sync(() => outcome.read.push({ atMs: now(), what, oldest: simulated.oldest() }))
        ),
        Effect.andThen(
          Effect.sync(() => {
            outcome.endedMs = now()
          })
        )
      )
      yield* Effect.forkScoped(reading)
      return outcome
    })
  )
  const blows = engines.flatMap(({ oracle, plan }) =>
    plan.faults.map(({ atMs, forMs, kind }) => ({
      atMs,
      happen: () => (forMs === 0 ? oracle.strike(kind) : world.note(`${plan.name}: ${kind} for ${forMs} ms`))
    }))
  )
  const schedule = [...voices.flatMap(({ simulated }) => simulated.schedule), ...blows].toSorted(
    (one, other) => one.atMs - other.atMs
  )
  for (const { atMs, happen } of schedule) {
    if (atMs > now()) yield* TestClock.adjust(atMs - now())
    happen()
  }
  for (let waited = 0; waited < AFTERWARDS_MS && voices.some(({ endedMs }) => endedMs === undefined); waited += 500)
    yield* TestClock.adjust(500)
  // what is closed with the stream is closed now
  yield* TestClock.adjust(100)
  return { scenario, voices, sessions: engines.flatMap(({ oracle }) => oracle.sessions), story, complaints }
})
