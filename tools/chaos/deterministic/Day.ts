/**
 * Day: people who speak now and then for 24 hours, and engines that fail every few minutes; on the test clock, with a look at what the process
 * holds each hour.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { type Cause, Context, Effect, Exit, Layer, Metric, Queue, Random, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_SAMPLES, msOfSamples } from "../../../src/domain/Audio.ts"
import { defaultLanguage, languagesOf } from "../../../src/domain/Language.ts"
import { isFinal, type Transcribed } from "../../../src/domain/Segment.ts"
import * as EngineHealth from "../../../src/layers/EngineHealth.ts"
import * as EngineTranscriber from "../../../src/layers/EngineTranscriber.ts"
import { monotonicMs } from "../../../src/layers/Monotonic.ts"
import { Engines } from "../../../src/services/Engines.ts"
import { Transcriber } from "../../../src/services/Transcriber.ts"
import * as Dice from "../Dice.ts"
import * as Judge from "../Judge.ts"
import { engineFaultNames, engineFaults } from "./EngineFaults.ts"
import * as OracleEngine from "./OracleEngine.ts"
import * as Sound from "./Sound.ts"
import * as Utterances from "./Utterances.ts"

/** What the process held at the end of an hour, when nobody had spoken for a while and everything was said. */
export interface Hour {
  readonly hour: number
  /** Bytes, after a collection of garbage. */
  readonly heap: number
  readonly buffers: number
  readonly fibers: number
  readonly sessions: number
  /** Sockets, timers and the like of the whole process. */
  readonly handles: number
  /** Faults that struck in this hour. */
  readonly faults: number
  readonly words: number
  /** What is wrong with what was read; empty when nothing is. */
  readonly complaints: ReadonlyArray<string>
}

const HOUR_MS = 3_600_000
const VOICES = 3
/** Of each voice, in an hour: what 24 of them may cost decides it. */
const SOUND_MS = 60_000
/** Nothing is said, and nothing breaks, in the last minutes of an hour: then it is looked. */
const QUIET_MS = 200_000
const FAULTS_AN_HOUR = 8
/** 60 s of speech. */
const RING_FRAMES = 750

/** Lives through a day, hour by hour. */
export const live = (seed: number, hours = 24): Effect.Effect<ReadonlyArray<Hour>> => {
  const fibers = { active: 0 }
  return Effect.scoped(day(seed, hours, fibers)).pipe(
    Random.withSeed(`day ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provideService(Metric.FiberRuntimeMetrics, {
      recordFiberStart: () => {
        fibers.active += 1
      },
      recordFiberEnd: () => {
        fibers.active -= 1
      }
    }),
    Effect.provide(TestClock.layer())
  )
}

const day = Effect.fnUntraced(function* (
  seed: number,
  hours: number,
  fibers: { readonly active: number }
): Effect.fn.Return<ReadonlyArray<Hour>, never, Scope.Scope> {
  const now = yield* monotonicMs
  const dice = Dice.make(seed)
  const plans = Array.from({ length: VOICES }, (_, index) => planOf(dice.fork(`voice ${index}`), hours))
  const complaints: Array<string> = []
  const world: OracleEngine.World = {
    speakers: plans.map((stretches, index) => ({
      id: String(index),
      unspaced: false,
      words: stretches.flatMap(({ words }) => words)
    })),
    now,
    dice: dice.fork("engines"),
    note: () => {},
    complain: (what) => complaints.push(what)
  }
  const engines = enginesOf(dice, hours).map((plan) => ({ plan, oracle: OracleEngine.make(plan, world) }))
  const configured = engines.map(({ oracle, plan }) => EngineHealth.make(oracle.engine, plan.role))
  const built = yield* Layer.build(EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, configured))))
  const transcriber = Context.get(built, Transcriber)
  const scope = yield* Scope.make()
  const voices = yield* Effect.forEach(plans, (stretches, index) =>
    Effect.gen(function* () {
      const one = yield* makeVoice(index, stretches)
      const reading = transcriber.transcribe(one.voice).pipe(Stream.runForEach(one.take))
      yield* Effect.forkIn(reading, scope)
      return one
    })
  )
  const faults = engines
    .flatMap(({ oracle, plan }) => plan.faults.map((fault) => ({ ...fault, oracle })))
    .toSorted((one, other) => one.atMs - other.atMs)

  const samples: Array<Hour> = []
  let struck = 0
  for (let hour = 1; hour <= hours; hour++) {
    const untilMs = hour * HOUR_MS
    const before = struck
    for (;;) {
      const nextMs = Math.min(untilMs, faults[struck]?.atMs ?? untilMs, ...voices.map((one) => one.dueMs()))
      yield* TestClock.adjust(Math.max(0, Math.ceil(nextMs - now())))
      if (nextMs >= untilMs) break
      for (let fault = faults[struck]; fault !== undefined && fault.atMs <= now(); fault = faults[++struck])
        if (fault.forMs === 0) fault.oracle.strike(fault.kind)
      for (const one of voices) one.speak(now())
    }
    samples.push({
      hour,
      ...held(),
      fibers: fibers.active,
      sessions: engines.flatMap(({ oracle }) => oracle.sessions).filter(({ closedMs }) => closedMs === undefined)
        .length,
      faults: struck - before,
      words: voices.reduce((sum, one) => sum + one.saidSoFar(), 0),
      complaints: [...complaints.splice(0), ...voices.flatMap((one) => one.judge())]
    })
  }
  yield* Scope.close(scope, Exit.void)
  return samples
})

const planOf = (dice: Dice.Dice, hours: number): ReadonlyArray<Utterances.Stretch> =>
  Array.from({ length: hours }, (_, hour) => {
    const manner = { soundMs: SOUND_MS, unspaced: false, noise: 0.15, pauses: [300, 180_000] } as const
    const untilMs = (hour + 1) * HOUR_MS - QUIET_MS
    return Utterances.make(dice, manner, hour * HOUR_MS + dice.between(1_000, 30_000)).filter(
      ({ to }) => msOfSamples(to) < untilMs
    )
  }).flat()

/** A primary that must be renewed every half an hour, and a cover without signs of life. */
const enginesOf = (dice: Dice.Dice, hours: number): ReadonlyArray<OracleEngine.EnginePlan> => {
  const common = {
    local: true,
    languages: languagesOf(["en"]),
    openMs: 150,
    latencyMs: 60,
    speed: 8,
    fasterThanRealtime: true,
    pieces: false,
    hasProbe: true,
    finishes: false
  }
  const faultsOf = (perHour: number) =>
    Array.from({ length: hours * perHour }, (_, index): OracleEngine.PlannedFault => {
      const kind = dice.pick(engineFaultNames)
      const atMs = (index + dice.next() * 0.9) * ((HOUR_MS - QUIET_MS - 60_000) / perHour)
      const hour = Math.floor(index / perHour)
      return {
        kind,
        atMs: hour * HOUR_MS + (atMs % (HOUR_MS - QUIET_MS - 60_000)),
        forMs: engineFaults[kind] === "at once" ? 0 : dice.between(500, 20_000)
      }
    }).toSorted((one, other) => one.atMs - other.atMs)
  return [
    {
      ...common,
      name: "first",
      role: "Primary",
      family: "timed",
      delayMs: 500,
      hasProgress: true,
      maxSessionMs: 1_800_000,
      faults: faultsOf(FAULTS_AN_HOUR)
    },
    { ...common, name: "second", role: "Cover", family: "plain", delayMs: 240, hasProgress: false, faults: faultsOf(2) }
  ]
}

/** A live voice that is made up while it is spoken: a day of sound fits into no memory. */
const makeVoice = Effect.fnUntraced(function* (index: number, stretches: ReadonlyArray<Utterances.Stretch>) {
  // bounded as in `Voice`: 64 frames, the oldest goes
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(64)
  const ring: Array<AudioFrame> = []
  const frames = (function* () {
    for (const stretch of stretches) yield* Sound.framesOf(index, stretch)
  })()
  let next = frames.next()
  let read: Array<string> = []
  let interrupted = 0
  let judged = 0
  const words = stretches.flatMap((stretch) => stretch.words)
  const dueMs = () => (next.done === true ? Number.POSITIVE_INFINITY : msOfSamples(next.value.position + FRAME_SAMPLES))
  const saidBy = (): number => {
    const place = words.findIndex(({ to }) => msOfSamples(to) > dueMs())
    return place < 0 ? words.length : place
  }
  return {
    voice: {
      id: String(index),
      frames: Stream.fromQueue(queue),
      replay: function* (position: number) {
        for (const frame of [...ring])
          if (frame.position + frame.pcm.length > position) yield { ...frame, pcm: frame.pcm.slice() }
      },
      language: () => defaultLanguage
    },
    take: (what: Transcribed) =>
      Effect.sync(() => {
        if (what._tag === "Interrupted") interrupted += what.samples
        if (what._tag === "Segment" && isFinal(what.segment)) read.push(...Judge.wordsOf(what.segment.committed))
      }),
    /** When its next frame is complete. */
    dueMs,
    speak: (nowMs: number) => {
      while (next.done !== true && dueMs() <= nowMs) {
        const frame = { ...next.value, heardAtMs: nowMs }
        ring.push(frame)
        if (ring.length > RING_FRAMES) ring.shift()
        Queue.offerUnsafe(queue, frame)
        next = frames.next()
      }
    },
    saidSoFar: saidBy,
    /** What is wrong with all that was said and read since this was last asked. */
    judge: (): ReadonlyArray<string> => {
      const until = saidBy()
      const verdict = Judge.judge(words.slice(judged, until), read)
      const gap =
        interrupted === 0 ? [] : [`voice ${index} was interrupted for ${Math.round(msOfSamples(interrupted))} ms`]
      judged = until
      read = []
      interrupted = 0
      return [...gap, ...(Judge.isClean(verdict) ? [] : [`voice ${index}: ${Judge.complaint(verdict)}`])]
    }
  }
})

/** A collection that is complete; V8 offers it to whoever asks for it by name. */
const collect: () => void = (() => {
  setFlagsFromString("--expose-gc")
  return runInNewContext("gc")
})()

const held = () => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers, handles: process.getActiveResourcesInfo().length }
}
