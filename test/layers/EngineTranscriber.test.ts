import { assert, describe } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import { slowFlush, told } from "../support/ScriptedTranscriber.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

const refused = new EngineError({ reason: "Refused", detail: "no" })
const unreachable = new EngineError({ reason: "Unreachable", detail: "no" })

const heardAt16kHz: Array<number> = []

describe("EngineTranscriber", () => {
  told(
    "sends an engine that listens at 16 kHz as much sound as was spoken",
    {
      capabilities: { sampleRate: 16_000 },
      onFrame: ({ pcm }) => {
        heardAt16kHz.push(pcm.length)
      }
    },
    Effect.gen(function* () {
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5)
      yield* TestClock.adjust("10 seconds")
      const samples = heardAt16kHz.reduce((sum, length) => sum + length, 0)
      assert.strictEqual(samples, (5 * 80 * 16_000) / 1000)
    })
  )

  told(
    "opens nothing before the first frame, and one session for what follows",
    {},
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(engine.attempts(), 0)
      yield* voice.speak(3)
      yield* voice.silence(1000)
      yield* voice.speak(3)
      assert.strictEqual(engine.attempts(), 1)
      assert.deepStrictEqual((yield* engine.session(0)).positions(), voice.spoken())
    })
  )

  told(
    "a word is on its way to the reader in the moment the engine says it",
    {},
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5, "goes on")
      const session = yield* engine.session(0)
      session.say("hello")
      yield* TestClock.adjust(0)
      assert.strictEqual(voice.now(), "hello")
      assert.strictEqual(voice.states[0]?.tokenAtMs, 400)
    })
  )

  told(
    "an utterance is finished after the flush that its end brings about",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      assert.strictEqual(session.flushes(), 1)
      session.say("short words")
      yield* TestClock.adjust("699 millis")
      assert.deepStrictEqual(voice.finals(), [])
      yield* TestClock.adjust("2 millis")
      assert.deepStrictEqual(voice.finals(), ["short words (Silence)"])
    })
  )

  told(
    "who goes on speaking during the flush goes on in the same segment, without a frame waiting",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(10)
      const session = yield* engine.session(0)
      session.say("short")
      yield* voice.speak(2, "goes on")
      assert.strictEqual(session.heard(), 12)
      yield* TestClock.adjust("1 second")
      session.say("words")
      yield* voice.speak(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(voice.finals(), ["short words (Silence)"])
      assert.strictEqual(session.flushes(), 2)
    })
  )

  told(
    "speech that stops without an end is flushed after 2 s",
    slowFlush,
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5, "goes on")
      ;(yield* engine.session(0)).say("cut off")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(voice.finals(), ["cut off (Silence)"])
    })
  )

  told(
    "words that come after the flush are finished 2 s after the last of them",
    {},
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5)
      const session = yield* engine.session(0)
      yield* TestClock.adjust("1 second")
      session.say("late")
      yield* TestClock.adjust("1500 millis")
      session.say("words")
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(voice.finals(), [])
      yield* TestClock.adjust("2 millis")
      assert.deepStrictEqual(voice.finals(), ["late words (Silence)"])
    })
  )

  told(
    "an engine that does not complete a flush is taken for dead, and another session hears again what it was sent",
    {
      tellsProgress: false,
      flushing: (session) => (session.index === 0 ? Effect.never : Effect.sleep("700 millis"))
    },
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      yield* voice.speak(5)
      const first = yield* engine.session(0)
      first.say("still")
      yield* TestClock.adjust("2900 millis")
      assert.isFalse(first.closed())
      yield* TestClock.adjust("1 second")
      assert.isTrue(first.closed())
      const second = engine.sessions().at(-1)
      assert.deepStrictEqual(second?.positions(), voice.spoken())
      second?.say("still here")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(voice.finals(), ["still here (Silence)"])
    })
  )

  describe("while the engine starts", () => {
    told(
      "what is said within 2 s is sent as it was, without decoding it again",
      { opening: () => Effect.sleep("1 second") },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(30, "goes on")
        assert.deepStrictEqual((yield* engine.session(0)).positions(), voice.spoken())
        assert.deepStrictEqual(voice.replayed, [])
      })
    )

    told(
      "a cold start of three minutes loses nothing, repeats nothing, and is caught up at four times real time",
      { opening: () => Effect.sleep("169 seconds") },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(2125, "goes on")
        const session = yield* engine.session(0)
        const before = session.heard()
        yield* voice.speak(125, "goes on")
        assert.isAtMost(session.heard() - before, 4 * 125 + 4)
        assert.isAtLeast(session.heard() - before, 4 * 125 - 4)
        yield* voice.speak(625, "goes on")
        assert.deepStrictEqual(session.positions(), voice.spoken())
        // caught up: the next frame is not replayed but sent at once
        const { count } = yield* Metric.value(Metrics.packetToEngine)
        yield* voice.speak(1)
        assert.strictEqual((yield* Metric.value(Metrics.packetToEngine)).count, count + 1)
        assert.strictEqual(session.flushes(), 1)
      })
    )

    told(
      "the live queue may overflow meanwhile: the ring has what it dropped",
      { opening: () => Effect.sleep("30 seconds") },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make({ queueFrames: 1 })
        yield* voice.speak(500)
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual((yield* engine.session(0)).positions(), voice.spoken())
      })
    )

    told(
      "what the ring had overwritten is counted and told",
      { opening: () => Effect.sleep("30 seconds") },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make({ ringFrames: 100 })
        yield* voice.speak(375)
        yield* TestClock.adjust("30 seconds")
        const session = yield* engine.session(0)
        const drops = yield* Metric.value(Metric.withAttributes(Metrics.drops, { reason: "ring_overwritten" }))
        assert.strictEqual(session.heard() + drops.count, 375)
        assert.isAtLeast(session.heard(), 100)
        assert.strictEqual(new Set(session.positions()).size, session.heard())
        assert.strictEqual(session.positions().at(-1), 374 * FRAME_SAMPLES)
        assert.deepStrictEqual(
          voice.interruptions.map(({ position, samples }) => [position, samples]),
          [[0, drops.count * FRAME_SAMPLES]]
        )
        assert.strictEqual((yield* Metric.value(Metrics.interruptions)).count, 1)
        assert.strictEqual((yield* Metric.value(Metrics.interruptedSeconds)).count, drops.count * 0.08)
      })
    )

    told(
      "an engine that takes no more than real time is not sent more",
      { opening: () => Effect.sleep("10 seconds"), capabilities: { fasterThanRealtime: false } },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(130)
        const session = yield* engine.session(0)
        const before = session.heard()
        yield* TestClock.adjust("4 seconds")
        assert.isAtMost(session.heard() - before, 54)
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(session.positions(), voice.spoken())
      })
    )
  })

  describe("when a session breaks", () => {
    told(
      "the next one hears again what is not proven, and the segment goes on",
      slowFlush,
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(10, "goes on")
        const first = yield* engine.session(0)
        first.say("half a")
        first.proveUpTo(4 * FRAME_SAMPLES)
        first.say("sen")
        first.fail("Closed")
        yield* voice.speak(10, "goes on")
        const second = engine.sessions().at(-1)
        second?.say("sen")
        assert.strictEqual(voice.now(), "half a sen")
        second?.say("tence")
        yield* voice.speak(1)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(voice.finals(), ["half a sen tence (Silence)"])
        assert.deepStrictEqual(first.positions(), voice.spoken().slice(0, 10))
        assert.deepStrictEqual(second?.positions(), voice.spoken().slice(4))
        const reconnects = Metric.withAttributes(Metrics.engineReconnects, { reason: "closed" })
        assert.strictEqual((yield* Metric.value(reconnects)).count, 1)
      })
    )

    told(
      "no new one is opened before somebody speaks",
      {},
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(5)
        ;(yield* engine.session(0)).fail("Closed")
        yield* voice.silence(600_000)
        assert.strictEqual(engine.attempts(), 1)
        yield* voice.speak(1)
        assert.strictEqual(engine.attempts(), 2)
      })
    )

    told(
      "attempts back off from 250 ms to 0.7 s while there is audio",
      { opening: () => Effect.fail(unreachable) },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(1)
        assert.strictEqual(engine.attempts(), 1)
        yield* TestClock.adjust("199 millis")
        assert.strictEqual(engine.attempts(), 1)
        yield* TestClock.adjust("102 millis")
        assert.strictEqual(engine.attempts(), 2)
        yield* TestClock.adjust("30 seconds")
        const soon = engine.attempts()
        assert.isAtLeast(soon, 35)
        assert.isAtMost(soon, 55)
        yield* TestClock.adjust("100 seconds")
        assert.isAtLeast(engine.attempts() - soon, 120)
        assert.isAtMost(engine.attempts() - soon, 175)
      })
    )

    told(
      "a session that lived a minute lets backoff start anew",
      { opening: (index) => (index < 6 ? Effect.fail(unreachable) : Effect.void) },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(250, "goes on")
        // the last probe has opened a session too, and closed it again
        assert.strictEqual(engine.attempts(), 8)
        yield* voice.speak(760, "goes on")
        ;(yield* engine.session(1)).fail("Closed")
        yield* voice.speak(5, "goes on")
        assert.strictEqual(engine.attempts(), 9)
      })
    )

    told(
      "a refusal is tried again after a minute only, and nothing said meanwhile is lost",
      { opening: (index) => (index === 0 ? Effect.fail(refused) : Effect.void) },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(700, "goes on")
        assert.strictEqual(engine.attempts(), 1)
        yield* voice.speak(60, "goes on")
        // a probe, which opens a session and closes it again, and the voice
        assert.strictEqual(engine.attempts(), 3)
        yield* voice.speak(300)
        assert.deepStrictEqual((yield* engine.session(1)).positions(), voice.spoken())
      })
    )

    told(
      "an adapter with a bug costs its session only",
      {
        onFrame: (_frame, session) => {
          if (session.index === 0 && session.heard() === 3) throw new Error("bug")
        }
      },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(3, "goes on")
        yield* voice.speak(10, "goes on")
        const next = engine.sessions().at(-1)
        next?.say("back again")
        yield* voice.speak(1)
        assert.deepStrictEqual(voice.finals(), ["back again (Silence)"])
        assert.deepStrictEqual(next?.positions(), voice.spoken())
      })
    )
  })

  describe("a session that gets old", () => {
    const halfHour = { ...slowFlush, capabilities: { maxSessionMs: 30 * 60_000 } }
    told(
      "is renewed at the first pause after 25 minutes",
      halfHour,
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        for (let minute = 0; minute < 24; minute++) {
          yield* voice.speak(740)
          yield* voice.silence(800)
        }
        yield* voice.speak(760)
        const first = yield* engine.session(0)
        assert.isFalse(first.closed())
        yield* voice.silence(800)
        assert.isTrue(first.closed())
        yield* voice.speak(5)
        const second = yield* engine.session(1)
        assert.strictEqual(second.heard(), 5)
        assert.strictEqual(engine.attempts(), 2)
      })
    )

    told(
      "is left at 29 minutes in any case, for one that hears again what is not proven",
      halfHour,
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(29 * 750 - 5, "goes on")
        const first = yield* engine.session(0)
        first.say("to be")
        first.proveUpTo((29 * 750 - 10) * FRAME_SAMPLES)
        first.say("contin")
        yield* voice.speak(25, "goes on")
        const second = yield* engine.session(1)
        assert.isTrue(first.closed())
        assert.strictEqual(first.flushes(), 0)
        second.say("contin ued")
        assert.deepStrictEqual(second.positions(), voice.spoken().slice(29 * 750 - 10))
        yield* voice.speak(5)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(voice.finals(), ["to be contin ued (Silence)"])
      })
    )
  })

  describe("a session that gets old while nobody pauses", () => {
    told(
      "is followed by one that hears half a minute again: nothing is said twice, or said to be lost",
      { tellsProgress: false, capabilities: { maxSessionMs: 30 * 60_000, mark: "KnownDelay" } },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make({ ringFrames: 2250 })
        yield* voice.speak(1, "goes on")
        const first = yield* engine.session(0)
        const words: Array<string> = []
        while (!first.closed()) {
          words.push(`w${words.length}`)
          first.say(words.at(-1) ?? "")
          yield* voice.speak(12, "goes on")
        }
        yield* voice.speak(125, "goes on")
        const next = yield* engine.session(1)
        const heard = voice.spoken()
        const lastBefore = heard.indexOf(first.positions().at(-1) ?? 0)
        assert.strictEqual(heard.indexOf(next.positions()[0] ?? 0), lastBefore - 374)
        next.say(`${words.slice(-30).join(" ")} and so on`)
        yield* voice.speak(5)
        yield* TestClock.adjust("5 seconds")
        const said = voice.finals().map((one) => one.replace(/ \(\w+\)$/, ""))
        assert.deepStrictEqual(said.join(" ").split(" "), [...words, "and", "so", "on"])
        assert.deepStrictEqual(voice.interruptions, [])
      })
    )
  })

  describe("sessions that get old together", () => {
    told(
      "are not left together",
      { tellsProgress: false, capabilities: { maxSessionMs: 30 * 60_000, mark: "KnownDelay" } },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voices = [yield* ScriptedVoice.make(), yield* ScriptedVoice.make()] as const
        const speak = (frames: number) =>
          Effect.forEach(voices, (voice) => voice.speak(frames, "goes on"), { concurrency: 2, discard: true })
        yield* speak(1)
        const sessions = yield* Effect.forEach([0, 1], engine.session)
        const leftAt: Array<number> = []
        // One waits for the other: both together take 0.96 s.
        for (let seconds = 0; leftAt.length < 2 && seconds < 30 * 60; seconds += 0.96) {
          for (const session of sessions) if (!session.closed()) session.say(`w${Math.round(seconds)}`)
          yield* speak(6)
          const closed = sessions.filter((session) => session.closed()).length
          while (leftAt.length < closed) leftAt.push(seconds)
        }
        const [first = 0, last = 0] = leftAt
        assert.isAtLeast(first, 27 * 60 - 2)
        assert.isAbove(last - first, 30)
        assert.isAtMost(last, 29 * 60 + 2)
      })
    )
  })

  describe("when the voice ends", () => {
    told(
      "what was said is flushed, finished and delivered before the segments end",
      slowFlush,
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(5, "goes on")
        const session = yield* engine.session(0)
        session.say("good")
        yield* voice.leave
        assert.strictEqual(session.flushes(), 1)
        session.say("bye")
        yield* TestClock.adjust("701 millis")
        yield* voice.done
        assert.deepStrictEqual(voice.finals(), ["good bye (StreamEnd)"])
        assert.isTrue(session.closed())
      })
    )

    told(
      "an engine that does not answer is not waited for longer than 10 s",
      { tellsProgress: false, flushing: () => Effect.never },
      Effect.gen(function* () {
        const engine = yield* ScriptedEngine.ScriptedEngine
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(5)
        ;(yield* engine.session(0)).say("good bye")
        yield* voice.leave
        yield* TestClock.adjust("9900 millis")
        assert.isFalse(voice.isDone())
        yield* TestClock.adjust("200 millis")
        yield* voice.done
        assert.deepStrictEqual(voice.finals(), ["good bye (StreamEnd)"])
      })
    )

    told(
      "during a cold start the segments end after 10 s",
      { opening: () => Effect.sleep("3 minutes") },
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.speak(5)
        yield* voice.leave
        yield* TestClock.adjust("10100 millis")
        yield* voice.done
        assert.deepStrictEqual(voice.states, [])
        const [unheard] = voice.interruptions
        assert.deepStrictEqual([unheard?.position, unheard?.samples], [0, 5 * FRAME_SAMPLES])
      })
    )

    told(
      "a voice that never spoke ends at once",
      {},
      Effect.gen(function* () {
        const voice = yield* ScriptedVoice.make()
        yield* voice.leave
        yield* voice.done
      })
    )
  })
})
