import { assert, describe, it } from "@effect/vitest"
import { decode, encode } from "@msgpack/msgpack"
import { Effect, Fiber, Metric, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_MS, FRAME_SAMPLES, msOfSamples } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as MoshiEngine from "../../src/layers/MoshiEngine.ts"
import * as MoshiProtocol from "../../src/layers/MoshiProtocol.ts"
import * as MoshiSimulator from "../../src/layers/MoshiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import type { EngineError, EngineSession } from "../../src/services/SpeechEngine.ts"
import { live } from "../support/Live.ts"
import { until } from "../support/Until.ts"

/** Frames of one utterance, from `position` on. */
const framesOf = (pcm: Float32Array, position: number): Array<AudioFrame> =>
  Array.from({ length: Math.ceil(pcm.length / FRAME_SAMPLES) }, (_, index) => {
    const frame = new Float32Array(FRAME_SAMPLES)
    frame.set(pcm.subarray(index * FRAME_SAMPLES, (index + 1) * FRAME_SAMPLES))
    return { position: position + index * FRAME_SAMPLES, pcm: frame, heardAtMs: 0, endsSpeech: false }
  })

const say = (words: ReadonlyArray<number>, position: number, firstSequence = 0) => {
  const spoken = ToneModem.speak(words, { speaker: 3, sampleRate: 24_000, firstSequence })
  return { frames: framesOf(spoken.pcm, position), words: spoken.words }
}
const silence = (frames: number, position: number) => framesOf(new Float32Array(frames * FRAME_SAMPLES), position)

interface Talk {
  readonly server: MoshiSimulator.MoshiSimulator
  readonly session: EngineSession
  readonly events: Array<SpeechEvent>
  readonly reading: Fiber.Fiber<void, EngineError>
  readonly send: (frames: ReadonlyArray<AudioFrame>) => void
  readonly heard: () => string
}

const converse = (server: MoshiSimulator.MoshiSimulator, key = "public_token") =>
  Effect.gen(function* () {
    const engine = yield* MoshiEngine.make({ url: server.url, key: Redacted.make(key) })
    const session = yield* engine.open({ language: defaultLanguage })
    const events: Array<SpeechEvent> = []
    const reading = yield* session.events.pipe(
      Stream.runForEach((event) => Effect.sync(() => events.push(event))),
      Effect.forkScoped
    )
    const talk: Talk = {
      server,
      session,
      events,
      reading,
      send: (frames) => {
        for (const frame of frames) session.send(frame)
      },
      heard: () =>
        events
          .flatMap((event) => (event._tag === "Appended" ? event.words : []))
          .map(({ text }) => text)
          .join(" ")
    }
    return talk
  })

const realMs = (ms: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, ms)))

describe("MoshiEngine", () => {
  live(
    "tells words with their place in the voice, whatever silence was sent besides",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make())
      const first = say([11, 22, 33], 0)
      talk.send(first.frames)
      yield* talk.session.flush
      // 20 s of silence that nobody sent
      const later = 500 * FRAME_SAMPLES
      const second = say([44, 55], later, 3)
      talk.send(second.frames)
      yield* talk.session.flush
      assert.strictEqual(talk.heard(), [11, 22, 33, 44, 55].map(wordText).join(" "))
      const words = talk.events.flatMap((event) => (event._tag === "Appended" ? event.words : []))
      const spoken = [
        ...first.words.map((word) => ({ ...word, at: 0 })),
        ...second.words.map((word) => ({ ...word, at: msOfSamples(later) }))
      ]
      for (const [index, { at, startMs, endMs }] of spoken.entries()) {
        // the server counts in steps
        assert.closeTo(words[index]?.startMs ?? 0, at + startMs, FRAME_MS)
        assert.closeTo(words[index]?.endMs ?? 0, at + endMs, 2 * FRAME_MS)
      }
      assert.strictEqual(talk.session.mark(), later + second.frames.length * FRAME_SAMPLES)
      assert.deepInclude(talk.server.counters(), { faults: 0, corrupt: 0, gaps: 0, markers: 2 })
    })
  )

  live(
    "ends an utterance where the model predicts a pause, with all words before it",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make())
      const first = say([1, 2, 3, 4], 0)
      const pause = silence(20, first.frames.length * FRAME_SAMPLES)
      const second = say([5], (first.frames.length + pause.length) * FRAME_SAMPLES, 4)
      talk.send([...first.frames, ...pause, ...second.frames])
      yield* talk.session.flush
      yield* until(() => talk.events.filter(({ _tag }) => _tag === "Completed").length === 2)
      const story = talk.events.flatMap((event) =>
        event._tag === "Appended"
          ? event.words.map(({ text }) => `${event.item} ${text}`)
          : event._tag === "Completed"
            ? [`${event.item} ${event.cause}`]
            : []
      )
      assert.deepStrictEqual(story, [
        ...[1, 2, 3, 4].map((word) => `turn-0 ${wordText(word)}`),
        "turn-0 Silence",
        `turn-1 ${wordText(5)}`,
        "turn-1 Silence"
      ])
      const likely = talk.events.flatMap((event) => (event._tag === "PauseLikely" ? event.pauses : []))
      assert.deepStrictEqual([...new Set(likely.map(({ pauseMs }) => pauseMs))], [500, 1000, 2000, 3000])
    })
  )

  live(
    "a commit ends the open utterance behind its last word; without one it does nothing",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make())
      yield* talk.session.commit
      talk.send(say([1, 2], 0).frames)
      yield* talk.session.commit
      const ends = talk.events.flatMap((event, index) => (event._tag === "Completed" ? [index] : []))
      assert.strictEqual(ends.length, 1)
      assert.strictEqual(talk.heard(), `${wordText(1)} ${wordText(2)}`)
      assert.isTrue(talk.events.slice(ends[0]).every(({ _tag }) => _tag !== "Appended"))
      yield* talk.session.commit
      assert.strictEqual(talk.events.filter(({ _tag }) => _tag === "Completed").length, 1)
    })
  )

  live(
    "the mark never passes a word that was not told, and the words prove it while somebody speaks",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make({ stepMs: 2 }))
      const { frames, words } = say([9, 8, 7, 6, 5, 4, 3, 2], 0)
      const marks: Array<number> = []
      talk.send(frames)
      yield* until(() => {
        marks.push(talk.session.mark())
        const told = talk
          .heard()
          .split(" ")
          .filter((text) => text !== "").length
        const next = words[told]
        if (next !== undefined) assert.isAtMost(msOfSamples(talk.session.mark()), next.startMs)
        return told >= 6
      })
      assert.isAbove(marks.at(-1) ?? 0, 0)
      assert.deepStrictEqual(
        marks,
        [...marks].sort((a, b) => a - b)
      )
    })
  )

  live(
    "tells how far it has computed, from its first step on; of the 2.6B model, which tells no steps, nobody knows",
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make()
      const talk = yield* converse(server)
      server.behave("hang")
      talk.send(silence(5, 4800))
      assert.isUndefined(talk.session.progress)
      server.behave("serve")
      yield* until(() => talk.session.progress?.() === 4800 + 5 * FRAME_SAMPLES)
      talk.send(silence(5, 48_000))
      yield* until(() => talk.session.progress?.() === 48_000 + 5 * FRAME_SAMPLES)
      const large = yield* converse(yield* MoshiSimulator.make({ model: "2.6b" }))
      large.send(say([1], 0).frames)
      yield* large.session.flush
      assert.strictEqual(large.heard(), wordText(1))
      assert.isUndefined(large.session.progress)
    })
  )

  live(
    "the 2.6B model, which tells no steps and is deaf at first, gets the silence it needs",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make({ model: "2.6b" }))
      const { frames } = say([11, 22], 0)
      talk.send(frames)
      yield* talk.session.flush
      assert.strictEqual(talk.heard(), `${wordText(11)} ${wordText(22)}`)
      assert.strictEqual(talk.session.mark(), frames.length * FRAME_SAMPLES)
    })
  )

  for (const [as, reason, retryable] of [
    ["refuse", "Refused", false],
    ["unavailable", "Busy", true],
    ["full", "Busy", true]
  ] as const)
    live(
      `a server that says ${as} is ${reason}`,
      Effect.gen(function* () {
        const server = yield* MoshiSimulator.make()
        server.behave(as)
        const error = yield* Effect.flip(converse(server))
        assert.deepInclude(error, { _tag: "EngineError", reason, retryable })
      })
    )

  live(
    "a probe says whether it is there and has a free channel, and opens none",
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make({ channels: 1 })
      const { probe = Effect.die("it has one") } = yield* MoshiEngine.make({
        url: server.url,
        key: Redacted.make("public_token")
      })
      yield* probe
      server.behave("unavailable")
      assert.strictEqual((yield* Effect.flip(probe)).reason, "Busy")
      server.behave("serve")
      yield* converse(server)
      assert.strictEqual((yield* Effect.flip(probe)).reason, "Busy")
      assert.strictEqual(server.counters().opened, 1)
      const { probe: nobody = Effect.die("it has one") } = yield* MoshiEngine.make({ url: "ws://127.0.0.1:1" })
      assert.strictEqual((yield* Effect.flip(nobody)).reason, "Unreachable")
      const { probe: nowhere = Effect.die("it has one") } = yield* MoshiEngine.make({ url: "no address" })
      assert.strictEqual((yield* Effect.flip(nowhere)).reason, "Unreachable")
    })
  )

  live(
    "a wrong key is refused and not told, and so is none",
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make({ keys: ["right"] })
      const error = yield* Effect.flip(converse(server, "hunter2"))
      assert.deepInclude(error, { reason: "Refused", retryable: false })
      assert.notInclude(error.message, "hunter2")
      const engine = yield* MoshiEngine.make({ url: server.url })
      assert.strictEqual((yield* Effect.flip(engine.open({ language: defaultLanguage }))).reason, "Refused")
      yield* converse(server, "right")
    })
  )

  live(
    "the path is added where the address has none",
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make()
      yield* converse({ ...server, url: server.url.replace("/api/asr-streaming", "") })
      assert.strictEqual(server.counters().opened, 1)
      assert.strictEqual((yield* Effect.flip(converse({ ...server, url: `${server.url}/x` }))).reason, "Unreachable")
    })
  )

  for (const [name, end, reason] of [
    ["crash", (server: MoshiSimulator.MoshiSimulator) => server.kill("crash"), "Closed"],
    ["close", (server: MoshiSimulator.MoshiSimulator) => server.kill("close"), "Closed"],
    [
      "fault",
      (server: MoshiSimulator.MoshiSimulator) => server.inject(encode({ type: "Error", message: "he said hunter2" })),
      "Protocol"
    ],
    ["message of 100 kB", (server: MoshiSimulator.MoshiSimulator) => server.inject(new Uint8Array(100_000)), "Closed"]
  ] as const)
    live(
      `a ${name} ends the session as ${reason}, after the words that came before`,
      Effect.gen(function* () {
        const talk = yield* converse(yield* MoshiSimulator.make())
        talk.send(say([1], 0).frames)
        yield* talk.session.flush
        end(talk.server)
        const error = yield* Effect.flip(Fiber.join(talk.reading))
        assert.deepInclude(error, { reason, retryable: true })
        assert.notInclude(error.message, "hunter2")
        assert.strictEqual(talk.heard(), wordText(1))
        talk.send(say([2], 100 * FRAME_SAMPLES, 1).frames)
        assert.strictEqual((yield* Effect.flip(talk.session.flush)).reason, reason)
      })
    )

  live(
    "counts and skips whatever is not a message",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make())
      const rubbish = [
        "text",
        new Uint8Array(0),
        Uint8Array.of(0xc1),
        Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff),
        Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
        encode([1, 2]),
        encode({ type: "Word" }),
        encode({ type: "Word", text: 7, start_time: 0 }),
        encode({ type: "Word", text: "x".repeat(600), start_time: 0 }),
        encode({ type: "Word", text: "x", start_time: Number.NaN }),
        encode({ type: "Step", prs: "no" }),
        encode({ type: "Nothing" })
      ]
      for (const one of rubbish) talk.server.inject(one)
      talk.send(say([1], 0).frames)
      yield* talk.session.flush
      assert.strictEqual(talk.heard(), wordText(1))
      const unknown = yield* Metric.value(Metric.withAttributes(Metrics.unknownMessages, { source: "moshi" }))
      assert.strictEqual(unknown.count, rubbish.length)
    })
  )

  live(
    "times that a server makes up stay within what was sent, and never go back",
    Effect.gen(function* () {
      const talk = yield* converse(yield* MoshiSimulator.make())
      talk.send(say([1, 2], 0).frames)
      yield* talk.session.flush
      for (const start of [-5, 1e9, 0.2])
        talk.server.inject(encode({ type: "Word", text: "two words", start_time: start }))
      talk.server.inject(encode({ type: "EndWord", stop_time: 1e300 }))
      yield* until(() => talk.heard().split(" ").length === 8)
      const words = talk.events.flatMap((event) => (event._tag === "Appended" ? event.words : []))
      const times = words.flatMap(({ startMs }) => (startMs === undefined ? [] : [startMs]))
      assert.deepStrictEqual(
        times,
        [...times].sort((a, b) => a - b)
      )
      assert.isAtMost(Math.max(...times), 1000)
      assert.isAtMost(msOfSamples(talk.session.mark()), 1000)
    })
  )

  it.effect("a server that accepts and says nothing is given up after 3 s", () =>
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make()
      server.behave("neverReady")
      const opening = yield* Effect.forkChild(Effect.flip(converse(server)))
      yield* realMs(200)
      yield* TestClock.adjust("2900 millis")
      yield* realMs(5)
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* Fiber.join(opening)).reason, "Silent")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect(
    "a model that hangs while its server still answers ends the session as Silent; one without work does not",
    () =>
      Effect.gen(function* () {
        const server = yield* MoshiSimulator.make()
        const talk = yield* converse(server)
        talk.send(say([1], 0).frames)
        yield* Effect.forkChild(talk.session.flush)
        yield* until(() => talk.heard() !== "" && talk.session.mark() > 0)
        for (let second = 0; second < 30; second++) {
          yield* TestClock.adjust("1 second")
          yield* realMs(5)
        }
        assert.isUndefined(talk.reading.pollUnsafe())
        server.behave("hang")
        talk.send(say([2], 100 * FRAME_SAMPLES, 1).frames)
        for (let quarter = 0; quarter < 8; quarter++) {
          assert.isUndefined(talk.reading.pollUnsafe())
          yield* TestClock.adjust("250 millis")
          yield* realMs(5)
        }
        assert.strictEqual((yield* Effect.flip(Fiber.join(talk.reading))).reason, "Silent")
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("keeps a session without speech open by frames and by binary messages", () =>
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make({ limitsMs: { frame: 600, binary: 1500, ping: 100_000 } })
      const talk = yield* converse(server)
      for (let round = 0; round < 30; round++) {
        yield* TestClock.adjust("8 seconds")
        yield* realMs(80)
      }
      assert.strictEqual(server.counters().active, 1)
      assert.isUndefined(talk.reading.pollUnsafe())
      // the proof that the limits are real: time stands still for us now
      yield* until(() => server.counters().active === 0)
      assert.strictEqual(server.counters().active, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  live(
    "tells how far the server is behind",
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const talk = yield* converse(yield* MoshiSimulator.make())
          talk.send(silence(25, 0))
          yield* talk.session.flush
        })
      )
      assert.isAbove((yield* Metric.value(Metrics.engineLag)).count, 25)
    })
  )
})

describe("MoshiProtocol", () => {
  const pcm = Float32Array.from({ length: FRAME_SAMPLES }, (_, i) => Math.sin(i) * 0.7)

  it("audio is encoded as by a general encoder, and several times as fast", () => {
    const ours = MoshiProtocol.audioEncoder()
    const theirs = (samples: Float32Array) =>
      encode({ type: "Audio", pcm: Array.from(samples) }, { forceFloat32: true, forceIntegerToFloat: true })
    assert.deepStrictEqual(Buffer.from(ours(pcm)), Buffer.from(theirs(pcm)))
    for (const length of [0, 1, 15, 16, 1919, 65_535]) {
      const samples = pcm.subarray(0, length)
      assert.deepStrictEqual(decode(ours(samples)), { type: "Audio", pcm: Array.from(samples) })
    }
    const timeOf = (encoder: (samples: Float32Array) => Uint8Array) => {
      const startedMs = performance.now()
      for (let i = 0; i < 1000; i++) encoder(pcm)
      return performance.now() - startedMs
    }
    // The best of several: this process may be kept waiting in any of them.
    const turns = Array.from({ length: 5 }, () => [timeOf(ours), timeOf(theirs)] as const)
    assert.isBelow(Math.min(...turns.map(([one]) => one)), Math.min(...turns.map(([, other]) => other)))
  })
})
