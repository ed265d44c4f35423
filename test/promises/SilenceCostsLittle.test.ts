/** Silence costs next to nothing, and no word at the edge of speech is lost by that. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { samplesOfMs } from "../../src/domain/Audio.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as HeardPerson from "../support/HeardPerson.ts"
import * as KyutaiInside from "../support/KyutaiInside.ts"
import * as SpokenHour from "../support/SpokenHour.ts"

const PRE_ROLL = samplesOfMs(300)
/** Every second of speech may cost so much at an engine. */
const MOST = 1.25
const MOST_IDLE_MS = 60_000

const seconds = (metric: Metric.Counter<number>) =>
  Effect.map(Metric.value(Metric.withAttributes(metric, { engine: "modal" })), ({ count }) => count)

/** Plays a script on the test's clock, and gives what it cost. */
const play = Effect.fnUntraced(function* (script: SpokenHour.Script) {
  const kyutai = yield* KyutaiInside.make({ speed: 3, wayMs: 60 })
  const transcriber = EngineTranscriber.layer.pipe(
    Layer.provide(ConfiguredEngines.single),
    Layer.provide(ModalEngine.layer),
    Layer.provide(kyutai.layer)
  )
  const built = yield* Layer.build(transcriber)
  const people = yield* Effect.forEach(script.people, HeardPerson.make).pipe(
    Effect.provideContext(Context.pick(Transcriber)(built))
  )
  for (let at = 0; at < script.samples; at += 4 * HeardPerson.BLOCK) {
    for (let block = 0; block < 4; block++) for (const one of people) one.hear((at + block * HeardPerson.BLOCK) / 24)
    yield* TestClock.adjust("80 millis")
  }
  for (const one of people) one.end()
  yield* TestClock.adjust("10 seconds")
  return { people, sessions: kyutai.sessions }
})

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((one, other) => one + other, 0)

const spokenSeconds = ({ people }: SpokenHour.Script) => sum(people.flat().map(({ pcm }) => pcm.length)) / 24_000

describe("silence costs little", () => {
  it.effect(
    "in an hour of six people an engine is sent at most 1.25 times what is spoken, and no first or last word is lost",
    () =>
      Effect.gen(function* () {
        const script = SpokenHour.make({ seed: 4, people: 6, seconds: 3600, share: 0.1 })
        const { people, sessions } = yield* play(script)
        for (const one of people) {
          assert.deepStrictEqual(one.missed(), [])
          assert.isAtLeast(one.shortestPreRoll(), PRE_ROLL)
          for (const { pcm, start } of one.said)
            assert.isTrue(one.stretches().some((heard) => heard.start <= start && start + pcm.length <= heard.end))
        }
        const spoken = spokenSeconds(script)
        assert.approximately(spoken, 2160, 10)
        const sent = yield* seconds(Metrics.engineAudioSeconds)
        assert.strictEqual(Math.round(sent * 24_000), sum(sessions.map(({ samples }) => samples)))
        assert.isAtMost(sent / spoken, MOST)
        // what is heard as speech, without the script: the same to a tenth
        const heard = sum(people.map((one) => one.spoken())) / 24_000
        assert.approximately(heard / spoken, 1, 0.1)
        // nobody holds a session for long who says nothing, and it is billed while it is held
        for (const { closedMs, soundMs } of sessions) assert.isAtMost(closedMs - soundMs, MOST_IDLE_MS)
        const held = sum(sessions.map(({ closedMs, openedMs }) => closedMs - openedMs)) / 1000
        assert.approximately(yield* seconds(Metrics.engineBilledSeconds), held, 1)
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())),
    600_000
  )

  it.effect(
    "a pause as short as a breath is no reason for a flush, and after one of any length the next word is whole",
    () =>
      Effect.gen(function* () {
        let start = samplesOfMs(1000)
        let sequence = 0
        const say = (pauseMs: number, isSoft: boolean) => {
          const words = [100, 200, 300, 400, 500, 600].map((word) => word + sequence)
          const pcm = SpokenHour.sound(words, { speaker: 1, firstSequence: sequence % 16, isSoft })
          const said = { words, start, pcm }
          sequence += words.length
          start += pcm.length + samplesOfMs(pauseMs)
          return said
        }
        const breaths = Array.from({ length: 8 }, (_, n) => say(n < 7 ? 200 + 20 * n : 3000, n % 2 === 0))
        const breathless = start
        // around the hang-over, by steps that fit no grid
        const pauses = Array.from({ length: 40 }, (_, n) => say(330 + 7 * n, n % 2 === 0))
        const people = [[...breaths, ...pauses]]
        const script = { people, samples: start + samplesOfMs(3000) }
        const { people: heard, sessions } = yield* play(script)
        assert.deepStrictEqual(heard[0]?.missed(), [])
        const flushes = sessions[0]?.silences ?? []
        assert.strictEqual(flushes.filter((atMs) => atMs < breathless / 24).length, 1)
        assert.isAbove(flushes.length, 10)
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
