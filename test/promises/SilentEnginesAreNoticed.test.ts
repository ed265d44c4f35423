/** Promise 3: an engine that has fallen silent is found out by another session, and neither noise nor repeated words deceive us. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { isFinal, textOf } from "../../src/domain/Segment.ts"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { type EngineRole, Engines } from "../../src/services/Engines.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import type { Transcriber } from "../../src/services/Transcriber.ts"
import { told } from "../support/ScriptedTranscriber.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

/** A word every 0.4 s of what is spoken; nothing in what is noise. */
type Words = (place: number) => string | undefined
const EVERY = 5
const placeOf = ({ position }: AudioFrame) => position / FRAME_SAMPLES / EVERY

/** Only words show that it is alive. It says the words of the recording, until `isDead`. */
const hears = (words: Words, isDead: (session: ScriptedEngine.ScriptedSession) => boolean): ScriptedEngine.Script => ({
  tellsProgress: false,
  flushing: () => Effect.sleep("700 millis"),
  onFrame: (frame, session) => {
    const word = Number.isInteger(placeOf(frame)) && !isDead(session) ? words(placeOf(frame)) : undefined
    if (word !== undefined) session.say(word)
  }
})
const spoken = (voice: { readonly spoken: () => ReadonlyArray<number> }, words: Words) =>
  voice
    .spoken()
    .map((position) => position / FRAME_SAMPLES / EVERY)
    .filter(Number.isInteger)
    .flatMap((place) => words(place) ?? [])
const read = (voice: { readonly states: ReadonlyArray<Parameters<typeof textOf>[0]> }) =>
  voice.states.filter(isFinal).flatMap((state) => textOf(state).split(" "))

const recordings: ReadonlyArray<readonly [string, Words]> = [
  ["words that differ", (place) => `word${place}`],
  ["one word again and again", () => "no"],
  ["words in groups", (place) => ["no", "no", "no", "yes"][place % 4]]
]

describe("promise 3: an engine that falls silent", () => {
  for (const [name, words] of recordings) {
    told(
      `in the middle of ${name} is replaced two seconds later, and each word is read once`,
      hears(words, (session) => session.index === 0 && session.heard() > 60),
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(60, "goes on")
        const before = voice.now()
        // the last word came with frame 55, and what was sent since counts
        yield* voice.speak(50, "goes on")
        assert.strictEqual(engine.sessions().length, 2)
        assert.isAbove(voice.now().length + read(voice).join(" ").length, before.length)
        yield* voice.speak(15)
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(read(voice), spoken(voice, words))
        assert.isTrue(engine.sessions()[0]?.closed())
        assert.strictEqual(engine.sessions().length, 2)
      })
    )
  }

  told(
    "with short answers, each too short for a suspicion, is found out by their sum",
    hears(
      () => "yes",
      (session) => session.index === 0
    ),
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      for (let answer = 0; answer < 3; answer++) {
        yield* voice.speak(10)
        yield* voice.silence(4000)
      }
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(
        read(voice),
        spoken(voice, () => "yes")
      )
    })
  )

  told(
    "at the end of what is said gives its last words through another, also when the speaker leaves",
    hears(
      (place) => `word${place}`,
      (session) => session.index === 0 && session.heard() > 20
    ),
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(35)
      yield* voice.leave
      yield* TestClock.adjust("5 seconds")
      yield* voice.done
      assert.deepStrictEqual(
        read(voice),
        spoken(voice, (place) => `word${place}`)
      )
    })
  )
})

describe("promise 3: an engine that hears no words because there are none", () => {
  for (const [name, from, to] of [
    ["noise", 20, 170],
    ["music before anybody speaks", 0, 150],
    ["another language", 40, 600]
  ] as const) {
    const words: Words = (place) => (place >= from / EVERY && place < to / EVERY ? undefined : `word${place}`)
    told(
      `in ${name} keeps its session, is asked about ever more rarely, and no word behind it is lost or said twice`,
      hears(words, () => false),
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(to, "goes on")
        // after 2, 4, 8, 16 and 32 s
        const most = Math.ceil(Math.log2((to - from) / 25 + 1))
        assert.isAbove(engine.sessions().length, 1)
        assert.isAtMost(engine.sessions().length - 1, most)
        yield* voice.speak(60)
        yield* TestClock.adjust("3 seconds")
        assert.isFalse(engine.sessions()[0]?.closed())
        assert.isTrue(
          engine
            .sessions()
            .slice(1)
            .every((session) => session.closed())
        )
        assert.deepStrictEqual(read(voice), spoken(voice, words))
      })
    )
  }
})

const engine = (name: string, role: EngineRole, script: ScriptedEngine.Script) =>
  Effect.map(Layer.build(ScriptedEngine.layer({ ...script, capabilities: { name } })), (context) => ({
    director: Context.get(context, ScriptedEngine.ScriptedEngine),
    configured: EngineHealth.make(Context.get(context, SpeechEngine), role)
  }))

const words: Words = (place) => `word${place}`
const speaks = hears(words, () => false)

const withTwo = (
  name: string,
  primary: ScriptedEngine.Script,
  body: (table: {
    readonly primary: ScriptedEngine.ScriptedEngine["Service"]
    readonly cover: ScriptedEngine.ScriptedEngine["Service"]
  }) => Effect.Effect<void, unknown, Transcriber | Scope.Scope>
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const first = yield* engine("first", "Primary", primary)
      const second = yield* engine("second", "Cover", speaks)
      const engines = Layer.succeed(Engines, [first.configured, second.configured])
      yield* Effect.provide(
        body({ primary: first.director, cover: second.director }),
        EngineTranscriber.layer.pipe(Layer.provide(engines))
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

describe("an engine that takes its time to start", () => {
  withTwo(
    "is covered meanwhile, and takes over at a pause",
    { ...speaks, opening: (index) => (index === 0 ? Effect.sleep("40 seconds") : Effect.void) },
    ({ cover, primary }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(25, "goes on")
        // 1.5 s tell a cold start from a warm one
        assert.isAbove(voice.now().length, 0)
        assert.deepStrictEqual([primary.sessions().length, cover.sessions().length], [0, 1])
        yield* voice.speak(490, "goes on")
        assert.strictEqual(primary.sessions().length, 1)
        assert.strictEqual(primary.sessions()[0]?.heard(), 0)
        yield* voice.speak(10)
        yield* voice.silence(2_000)
        assert.isTrue(cover.sessions()[0]?.closed())
        yield* voice.speak(50)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(primary.sessions()[0]?.heard(), 50)
        assert.deepStrictEqual(read(voice), spoken(voice, words))
        assert.strictEqual(cover.sessions().length, 1)
      })
  )

  withTwo(
    "takes over in the middle of speech when there is no pause for half a minute, and no word is lost for it",
    { ...speaks, opening: (index) => (index === 0 ? Effect.sleep("20 seconds") : Effect.void) },
    ({ cover, primary }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(750, "goes on")
        assert.isTrue(cover.sessions()[0]?.closed())
        yield* voice.speak(50)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(primary.sessions().filter((session) => session.heard() > 0).length, 1)
        assert.deepStrictEqual(read(voice), spoken(voice, words))
      })
  )

  withTwo(
    "that nobody waits for any more is let go",
    { ...speaks, opening: (index) => (index === 0 ? Effect.sleep("5 seconds") : Effect.void) },
    ({ cover, primary }) =>
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(25)
        yield* voice.silence(120_000)
        assert.isTrue(primary.sessions().every((session) => session.closed()))
        assert.isTrue(cover.sessions().every((session) => session.closed()))
        assert.deepStrictEqual(read(voice), spoken(voice, words))
      })
  )
})
