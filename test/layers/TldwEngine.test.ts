import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage, LanguageId } from "../../src/domain/Language.ts"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as StreamTimeline from "../../src/layers/StreamTimeline.ts"
import * as TldwEngine from "../../src/layers/TldwEngine.ts"
import * as TldwSimulator from "../../src/layers/TldwSimulator.ts"
import * as TldwText from "../../src/layers/TldwText.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import type { EngineError, EngineSession } from "../../src/services/SpeechEngine.ts"
import { live } from "../support/Live.ts"
import { until } from "../support/Until.ts"

const KEY = "key-hunter2"
/** 80 ms at 16 kHz. */
const STEP = 1280
const WORDS = Array.from({ length: 18 }, (_, index) => 60 + 13 * index)

const framesOf = (pcm: Float32Array, position = 0): Array<AudioFrame> =>
  Array.from({ length: Math.ceil(pcm.length / STEP) }, (_, index) => {
    const frame = new Float32Array(STEP)
    frame.set(pcm.subarray(index * STEP, (index + 1) * STEP))
    return { position: position + index * FRAME_SAMPLES, pcm: frame, heardAtMs: 0, endsSpeech: false }
  })
const say = (words: ReadonlyArray<number>, position = 0) =>
  framesOf(ToneModem.speak(words, { speaker: 3, sampleRate: 16_000 }).pcm, position)

const engineFor = (server: TldwSimulator.TldwSimulator, options: Partial<TldwEngine.Options> = {}) =>
  TldwEngine.make({
    url: server.url,
    key: Redacted.make(KEY),
    model: "parakeet",
    variant: "onnx",
    audio: "pcm16",
    ...options
  })

interface Talk {
  readonly session: EngineSession
  readonly events: Array<SpeechEvent>
  readonly reading: Fiber.Fiber<void, EngineError>
  readonly send: (frames: ReadonlyArray<AudioFrame>) => void
}

const converse = (server: TldwSimulator.TldwSimulator, options: Partial<TldwEngine.Options> = {}, language = "en") =>
  Effect.gen(function* () {
    const engine = yield* engineFor(server, options)
    const session = yield* engine.open({ language: LanguageId.make(language) })
    const events: Array<SpeechEvent> = []
    const reading = yield* session.events.pipe(
      Stream.runForEach((event) => Effect.sync(() => events.push(event))),
      Effect.forkScoped
    )
    const send = (frames: ReadonlyArray<AudioFrame>) => {
      for (const frame of frames) session.send(frame)
    }
    const talk: Talk = { session, events, reading, send }
    return talk
  })

const completed = (events: ReadonlyArray<SpeechEvent>) =>
  events.flatMap((event) => (event._tag === "Completed" ? [event.text] : []))
const text = WORDS.map(wordText).join(" ")
const realMs = (ms: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, ms)))

describe("TldwEngine", () => {
  live(
    "tells words that lie in two chunks once, and what is certain never changes",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const talk = yield* converse(server)
      const frames = say(WORDS)
      talk.send(frames)
      yield* talk.session.flush
      yield* realMs(20)
      // the server did repeat words, or nothing is shown here
      const repeated = server.log().join(" ").trim().split(/\s+/)
      assert.isAbove(repeated.length, WORDS.length)
      assert.deepStrictEqual(completed(talk.events), [text])
      let sure = ""
      const states = talk.events.flatMap((event) => (event._tag === "Replaced" ? [event] : []))
      assert.isAbove(states.length, 6)
      for (const state of states) {
        assert.isTrue(state.text.startsWith(sure), `"${state.text}" must begin with "${sure}"`)
        sure = state.text.slice(0, state.stableLength)
      }
      assert.strictEqual(talk.session.mark(), frames.length * FRAME_SAMPLES)
    })
  )

  live(
    "full chunks prove nothing; speech without a pause is flushed and marked in a gap between two words",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const talk = yield* converse(server)
      const words = Array.from({ length: 50 }, (_, index) => 5 + 11 * index)
      const first = say(words.slice(0, 45))
      const second = say(words.slice(45), first.length * FRAME_SAMPLES)
      // the last of them is quiet
      talk.send(first.slice(0, -1))
      yield* until(() => talk.events.some((event) => event._tag === "Replaced" && event.stableLength > 0))
      assert.strictEqual(talk.session.mark(), 0)
      talk.send([...first.slice(-1), ...second])
      yield* until(() => talk.session.mark() > 0)
      assert.strictEqual(talk.session.mark(), (first.length - 0.5) * FRAME_SAMPLES)
      assert.deepStrictEqual(completed(talk.events), [words.slice(0, 45).map(wordText).join(" ")])
      yield* talk.session.flush
      assert.deepStrictEqual(completed(talk.events)[1], words.slice(45).map(wordText).join(" "))
      assert.strictEqual(server.counters().commits, 2)
    })
  )

  for (const [era, audio, model, language, expected] of [
    ["today", "pcm16", "parakeet", "fr", { protocol_version: 1, audio_format: "pcm16", language: "en" }],
    ["today", "pcm16", "canary", "de-AT", { protocol_version: 1, channels: 1, language: "de" }],
    ["2024", "float32", "canary", "es", { model: "canary", language: "es" }]
  ] as const)
    live(
      `speaks to a server of ${era} with ${model}, asked for ${language}`,
      Effect.gen(function* () {
        const server = yield* TldwSimulator.make({ era, key: KEY, greets: true })
        const talk = yield* converse(server, { audio, model }, language)
        talk.send(say([1, 2, 3]))
        yield* talk.session.commit
        yield* realMs(20)
        assert.deepStrictEqual(completed(talk.events), [[1, 2, 3].map(wordText).join(" ")])
        const [config] = server.configs()
        assert.deepInclude(config, { ...expected, sample_rate: 16_000, chunk_duration: 2, variant: "onnx" })
        if (era === "2024") assert.notProperty(config, "protocol_version")
        assert.strictEqual(server.counters().faults, 0)
      })
    )

  live(
    "knows the languages of its model",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const languages = (model: string) =>
        Effect.map(engineFor(server, { model }), ({ capabilities }) => Object.keys(capabilities.languages))
      assert.deepStrictEqual(yield* languages("parakeet"), ["en"])
      assert.deepStrictEqual(yield* languages("canary"), ["en", "es", "de", "fr"])
    })
  )

  for (const [as, reason, retryable] of [
    ["refuse", "Refused", false],
    ["forbid", "Refused", false],
    ["noMinutes", "LimitReached", true],
    ["noStreams", "Busy", true],
    ["crowded", "Busy", true],
    ["noModel", "Refused", false],
    ["draining", "Busy", true],
    ["broken", "Protocol", true]
  ] as const)
    live(
      `a server that answers "${as}" is ${reason}`,
      Effect.gen(function* () {
        const server = yield* TldwSimulator.make({ key: KEY })
        server.behave(as)
        const error = yield* Effect.flip(converse(server))
        assert.deepInclude(error, { _tag: "EngineError", reason, retryable })
        assert.notInclude(error.message, "hunter2")
      })
    )

  for (const [code, error, reason] of [
    [1000, undefined, "Closed"],
    [1000, { message: "something broke" }, "Protocol"],
    [1001, undefined, "Closed"],
    [1008, undefined, "Refused"],
    [1008, { quota: "daily_minutes", code: "quota_exceeded" }, "LimitReached"],
    [1011, undefined, "Protocol"],
    [1013, undefined, "Busy"],
    [4003, undefined, "LimitReached"],
    [4400, { message: "he said hunter2" }, "Protocol"],
    [4401, undefined, "Refused"],
    [4403, undefined, "Refused"],
    [1000, { code: "billing_limit_exceeded" }, "LimitReached"]
  ] as const)
    live(
      `a close with ${code} ${error === undefined ? "" : `behind ${JSON.stringify(error)} `}ends the session as ${reason}, after what came before`,
      Effect.gen(function* () {
        const server = yield* TldwSimulator.make({ key: KEY })
        const talk = yield* converse(server)
        talk.send(say([1]))
        yield* talk.session.flush
        server.close(code, error)
        const end = yield* Effect.flip(Fiber.join(talk.reading))
        assert.strictEqual(end.reason, reason)
        assert.notInclude(end.message, "hunter2")
        assert.deepStrictEqual(completed(talk.events), [wordText(1)])
      })
    )

  live(
    "an error that no close follows ends the session, and proves nothing any more",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const talk = yield* converse(server)
      talk.send(say([1]))
      yield* talk.session.flush
      const mark = talk.session.mark()
      server.inject(JSON.stringify({ type: "error", message: "transcription failed" }))
      talk.send(say([2], 200 * FRAME_SAMPLES))
      yield* Effect.ignore(talk.session.flush)
      assert.strictEqual((yield* Effect.flip(Fiber.join(talk.reading))).reason, "Protocol")
      assert.strictEqual(talk.session.mark(), mark)
    })
  )

  live(
    "what its own voice activity detection asks for is no answer to a commit, and rubbish is counted",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const talk = yield* converse(server)
      server.inject(JSON.stringify({ type: "full_transcript", text: "x", auto_commit: true }))
      for (const one of ["", "{", "[]", '{"type":"partial"}', '{"type":"final","text":7,"is_final":true}'])
        server.inject(one)
      server.inject(new Uint8Array(7))
      talk.send(say([1]))
      yield* talk.session.flush
      yield* realMs(20)
      assert.deepStrictEqual(completed(talk.events), [wordText(1)])
      const unknown = yield* Metric.value(Metric.withAttributes(Metrics.unknownMessages, { source: "tldw" }))
      assert.strictEqual(unknown.count, 6)
    })
  )

  it.effect("a server that never answers a commit is Silent", () =>
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const opening = yield* Effect.forkChild(converse(server))
      yield* realMs(100)
      yield* TestClock.adjust("1 second")
      const talk = yield* Fiber.join(opening)
      talk.send(say(WORDS))
      yield* until(() => talk.events.length > 0)
      server.behave("mute")
      const flushing = yield* Effect.forkChild(talk.session.flush)
      for (let second = 0; second < 4; second++) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(Fiber.join(flushing))).reason, "Silent")
      assert.strictEqual((yield* Effect.flip(Fiber.join(talk.reading))).reason, "Silent")
      assert.strictEqual(talk.session.mark(), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  live(
    "a probe asks for the server's own word, with the key; an older server has no page for it, and is up",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ key: KEY })
      const probe = (options: Partial<TldwEngine.Options> = {}) =>
        Effect.flatMap(engineFor(server, options), (engine) => engine.probe ?? Effect.die("it has one"))
      yield* probe()
      server.behave("broken")
      assert.strictEqual((yield* Effect.flip(probe())).reason, "Unreachable")
      const wrong = yield* Effect.flip(probe({ key: Redacted.make("hunter3") }))
      assert.strictEqual(wrong.reason, "Refused")
      assert.notInclude(wrong.message, "hunter3")
      yield* probe({ url: (yield* TldwSimulator.make({ era: "2024", key: KEY })).url })
      assert.strictEqual(server.counters().opened, 0)
    })
  )

  live(
    "a wrong address or nobody there is Unreachable, without quoting the key",
    Effect.gen(function* () {
      const server = yield* TldwSimulator.make({ era: "2024", key: KEY })
      for (const url of [server.url.replace("stream", "x"), "ws://127.0.0.1:1"]) {
        const engine = yield* engineFor(server, { url, audio: "float32" })
        const error = yield* Effect.flip(engine.open({ language: defaultLanguage }))
        assert.strictEqual(error.reason, "Unreachable")
        assert.notInclude(error.message, "hunter2")
      }
    })
  )
})

describe("TldwText", () => {
  const reader = () => {
    const timeline = StreamTimeline.make(16_000)
    timeline.frame(0, 16_000 * 60)
    return TldwText.make(timeline)
  }
  const read = (chunks: ReadonlyArray<readonly [text: string, isFinal: boolean]>, overlap = 0.5) => {
    const text = reader()
    const events = chunks.flatMap(([said, isFinal]) =>
      text.read({ type: isFinal ? "final" : "partial", text: said, is_final: isFinal, overlap })
    )
    return events.map((event) =>
      event._tag === "Replaced"
        ? `${event.text.slice(0, event.stableLength)}|${event.text.slice(event.stableLength)}`
        : event._tag
    )
  }

  it("takes out the longest repetition at a seam, whatever case and punctuation it has", () => {
    assert.deepStrictEqual(
      read([
        ["Hello there, how", false],
        ["Hello there, how are", true],
        ["How are you", false],
        ["how are you today.", true],
        ["Today. Fine.", true]
      ]),
      [
        "|Hello there, how",
        "Hello there, how are|",
        "Hello there, how are| you",
        "Hello there, how are you today.|",
        "Hello there, how are you today. Fine.|"
      ]
    )
  })

  it("takes nothing out that is longer than the overlap, nor where there is none", () => {
    assert.deepStrictEqual(
      read([
        ["one two three four five", true],
        ["one two three four five", true]
      ]),
      ["one two three four five|", "one two three four five one two three four five|"]
    )
    assert.deepStrictEqual(
      read(
        [
          ["yes", true],
          ["yes", true]
        ],
        0
      ),
      ["yes|", "yes yes|"]
    )
  })

  it("takes nothing out behind the end of an utterance", () => {
    const text = reader()
    text.read({ type: "final", text: "yes", is_final: true })
    assert.strictEqual(text.complete("Silence").length, 1)
    assert.deepStrictEqual(text.complete("Silence"), [])
    const [event] = text.read({ type: "final", text: "yes", is_final: true })
    assert.deepInclude(event, { _tag: "Replaced", text: "yes", item: "chunks-1" })
  })

  it("bounds an utterance that has no pauses, and still takes repetitions out", () => {
    const text = reader()
    const completions = Array.from({ length: 100 }, (_, n) =>
      text.read({ type: "final", text: `w${n} next${n} w${n + 1}`, is_final: true })
    )
      .flat()
      .flatMap((event) => (event._tag === "Completed" ? [event.text ?? ""] : []))
    assert.isAbove(completions.length, 0)
    const words = completions.join(" ").split(" ")
    assert.strictEqual(new Set(words).size, words.length)
    for (const one of completions) assert.isBelow(one.length, 1100)
  })
})
