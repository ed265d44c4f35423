/** What a session with an engine is sent, how fast, and what the reader is told of it. */
import { assert, describe } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import type { Transcribed } from "../../src/domain/Segment.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { Transcriber, type Voice } from "../../src/services/Transcriber.ts"
import { slowFlush, told } from "../support/ScriptedTranscriber.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

describe("how far everything is said", () => {
  told(
    "is told after each flush, behind the final it led to, and not again when the voice ends",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      session.say("one")
      yield* TestClock.adjust("699 millis")
      assert.deepStrictEqual(voice.settled, [])
      yield* TestClock.adjust("2 millis")
      assert.deepStrictEqual(voice.settled, ["10 frames behind 1 finals"])
      yield* voice.silence(3999 - 701)
      yield* voice.speak(5)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(voice.settled.length, 2)
      yield* voice.leave
      yield* voice.done
      assert.strictEqual(voice.settled.length, 2)
    })
  )

  told(
    "is told for speech of which nothing was understood, too",
    slowFlush,
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(voice.settled, ["10 frames behind 0 finals"])
    })
  )

  told(
    "waits for the final of whoever goes on in the same segment",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      session.say("short")
      yield* voice.speak(20, "goes on")
      assert.deepStrictEqual([voice.finals(), voice.settled], [[], []])
      session.say("words and so on.")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(voice.settled, ["10 frames behind 1 finals"])
    })
  )

  told(
    "does not wait where each stretch is an utterance: its segment ends although speech goes on",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make({ utterances: true })
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      session.say("one")
      yield* voice.speak(20, "goes on")
      assert.deepStrictEqual(voice.finals(), ["one (Silence)"])
      assert.deepStrictEqual(voice.settled, ["10 frames behind 1 finals"])
      session.say("two")
      yield* voice.speak(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(voice.settled.slice(1), ["31 frames behind 2 finals"])
    })
  )

  told(
    "is told although the next utterance is under way, of which nothing becomes final that may still change",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make({ utterances: true })
      const hear = (text: string, stableLength: number) => {
        const words = text.split(" ").map((one, at) => ({
          text: one,
          joiner: "space" as const,
          startMs: 1000 * at,
          endMs: 1000 * at + 500
        }))
        return { _tag: "Replaced", item: "a", text, stableLength, words } as const
      }
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      session.emit(hear("one twx", 3))
      yield* voice.speak(10, "goes on")
      assert.deepStrictEqual(voice.finals(), ["one (Silence)"])
      assert.deepStrictEqual(voice.settled, ["10 frames behind 1 finals"])
      assert.strictEqual(voice.now(), "twx")
      session.emit(hear("one two", 7))
      yield* voice.speak(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(voice.finals(), ["one (Silence)", "two (Silence)"])
      assert.deepStrictEqual(voice.settled.slice(1), ["21 frames behind 2 finals"])
    })
  )

  told(
    "is told after a loss when the next session has heard it again",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10, "goes on")
      const session = yield* engine.session(0)
      session.say("half a")
      session.fail("Closed")
      yield* voice.speak(10)
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(voice.settled, [])
      engine.sessions().at(-1)?.say("half a word")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(voice.settled, ["20 frames behind 1 finals"])
      assert.deepStrictEqual(voice.finals(), ["half a word (Silence)"])
    })
  )

  told(
    "is told of the last words before the segments end",
    slowFlush,
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5, "goes on")
      yield* voice.leave
      yield* TestClock.adjust("1 second")
      yield* voice.done
      assert.deepStrictEqual(voice.settled, ["5 frames behind 0 finals"])
    })
  )
})

describe("an engine that gives its last words only when it is told to finish", () => {
  const finishing: ScriptedEngine.Script = {
    finishing: (session) =>
      Effect.gen(function* () {
        yield* Effect.sleep("300 millis")
        session.say("and bye")
        session.fail("Closed")
        return yield* Effect.never
      })
  }
  told(
    "is told when the voice ends, and may hang up behind them",
    finishing,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5, "goes on")
      const session = yield* engine.session(0)
      session.say("good")
      yield* voice.leave
      yield* TestClock.adjust("301 millis")
      yield* voice.done
      assert.deepStrictEqual(voice.finals(), ["good and bye (StreamEnd)"])
      assert.deepStrictEqual(voice.settled, ["5 frames behind 1 finals"])
      assert.deepStrictEqual([session.flushes(), engine.attempts()], [0, 1])
    })
  )

  told(
    "is told when its session is closed in silence; that is no loss",
    finishing,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5)
      yield* voice.silence(60_000)
      assert.deepStrictEqual(voice.finals(), ["and bye (Silence)"])
      yield* voice.speak(1)
      assert.strictEqual(engine.attempts(), 2)
    })
  )
})

/** A client that sends a file of so many frames as fast as it can. */
const file = (count: number, options: Partial<Voice> = {}) =>
  Effect.gen(function* () {
    const transcriber = yield* Transcriber
    let taken = 0
    const frameAt = (index: number): AudioFrame => ({
      position: index * FRAME_SAMPLES,
      pcm: new Float32Array(FRAME_SAMPLES),
      heardAtMs: 0,
      endsSpeech: index === count - 1
    })
    const voice: Voice = {
      id: "v",
      frames: Stream.fromIterable(Array.from({ length: count }, (_, index) => index)).pipe(
        Stream.rechunk(1),
        Stream.map((index): AudioFrame => {
          taken += 1
          return frameAt(index)
        })
      ),
      replay: (position) =>
        Array.from({ length: taken }, (_, index) => frameAt(index)).slice(Math.floor(position / FRAME_SAMPLES)),
      language: () => defaultLanguage,
      ...options
    }
    const out: Array<Transcribed> = []
    const reading = yield* transcriber.transcribe(voice).pipe(
      Stream.runForEach((one) => Effect.sync(() => out.push(one))),
      Effect.forkScoped
    )
    yield* TestClock.adjust(0)
    return { taken: () => taken, out, isDone: () => reading.pollUnsafe() !== undefined }
  })

describe("a client that is faster than real time", () => {
  for (const [fasterThanRealtime, speed] of [
    [false, 1],
    [true, 4]
  ] as const)
    told(
      `is held up to ${speed} × real time and a second, whole and in order`,
      { capabilities: { fasterThanRealtime } },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const client = yield* file(500, { waits: true })
        const session = yield* engine.session(0)
        for (const seconds of [1, 2, 3, 4]) {
          yield* TestClock.adjust("1 second")
          const sentMs = session.heard() * 80
          assert.isAtMost(sentMs, seconds * 1000 * speed + 1000 + 80)
          assert.isAtLeast(sentMs, seconds * 1000 * speed - 320)
          assert.isAtMost(client.taken(), session.heard() + 26)
        }
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(
          session.positions(),
          Array.from({ length: 500 }, (_, index) => index * FRAME_SAMPLES)
        )
        assert.isTrue(client.isDone())
        assert.deepStrictEqual(client.out, [{ _tag: "Settled", position: 500 * FRAME_SAMPLES }])
      })
    )

  told(
    "waits for an engine that is not open yet with no more than 2 s of its audio taken, and loses nothing",
    { opening: () => Effect.sleep("20 seconds") },
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const client = yield* file(200, { waits: true })
      yield* TestClock.adjust("19 seconds")
      assert.isAtMost(client.taken(), 26)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* engine.session(0)).heard(), 200)
      assert.isTrue(client.isDone())
    })
  )

  told(
    "that ends while its engine starts still gets its words",
    { opening: () => Effect.sleep("20 seconds"), onFrame: (_, session) => session.say("word") },
    Effect.gen(function* () {
      const client = yield* file(3, { waits: true })
      yield* TestClock.adjust("21 seconds")
      assert.isTrue(client.isDone())
      assert.strictEqual(client.out.at(-2)?._tag, "Segment")
    })
  )

  told(
    "goes on with the next session when one breaks while it is held up",
    { capabilities: { fasterThanRealtime: false } },
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      yield* file(100, { waits: true })
      yield* TestClock.adjust("2 seconds")
      const first = yield* engine.session(0)
      first.fail("Closed")
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(first.heard(), 25)
      assert.deepStrictEqual(
        // between them a probe
        engine
          .sessions()
          .find((session) => session !== first && session.heard() > 0)
          ?.positions(),
        Array.from({ length: 100 }, (_, index) => index * FRAME_SAMPLES)
      )
    })
  )
})

describe("speech as it is spoken", () => {
  told(
    "is never held up, also after a hitch of the network or a start that was caught up",
    { opening: () => Effect.sleep("4 seconds"), capabilities: { fasterThanRealtime: false } },
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(60)
      yield* voice.silence(10_000)
      const session = yield* engine.session(0)
      for (let turn = 0; turn < 5; turn++) {
        for (let frames = 1; frames <= 10; frames++) {
          yield* voice.speak(1, "goes on")
          assert.strictEqual(session.heard(), voice.spoken().length)
        }
        // ten frames at once
        yield* TestClock.adjust("800 millis")
        yield* voice.burst(10)
        assert.strictEqual(session.heard(), voice.spoken().length)
      }
    })
  )
})
