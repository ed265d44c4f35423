import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Metric, Queue, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import { ModalClient, ModalError, type ModalMessage } from "../../src/services/ModalClient.ts"
import { type EngineError, type EngineSession, SpeechEngine } from "../../src/services/SpeechEngine.ts"

/** The other end of a socket, in the test's hands. */
interface Line {
  readonly sent: Array<"speech" | "silence" | "empty">
  samples: number
  readonly token: (text: string) => Effect.Effect<void>
  readonly end: (error: ModalError) => Effect.Effect<void>
  takes: boolean
}

const frame = (index: number) => ({
  position: index * FRAME_SAMPLES,
  pcm: new Float32Array(FRAME_SAMPLES).fill(0.1),
  heardAtMs: 0,
  endsSpeech: false
})

/** A session whose events are read all the time. */
interface Conversation {
  readonly session: EngineSession
  readonly line: Line
  readonly text: () => string
  /** Words and marks, in order. */
  readonly said: () => ReadonlyArray<string | number>
  readonly marks: () => ReadonlyArray<number>
  readonly reading: Fiber.Fiber<void, EngineError>
}

const conversation = Effect.gen(function* () {
  const incoming = yield* Queue.unbounded<ModalMessage, ModalError>()
  const line: Line = {
    sent: [],
    samples: 0,
    token: (text) =>
      Effect.clockWith((clock) =>
        Effect.sync(() => {
          Queue.offerUnsafe(incoming, { _tag: "Token", text, atMs: Number(clock.monotonicTimeNanosUnsafe()) / 1e6 })
        })
      ).pipe(Effect.andThen(TestClock.adjust(0))),
    end: (error) => Effect.sync(() => Queue.failCauseUnsafe(incoming, Cause.fail(error))),
    takes: true
  }
  const client = Layer.succeed(ModalClient, {
    open: Effect.succeed({
      send: (pcm: Float32Array) => {
        line.samples += pcm.length
        if (line.takes) line.sent.push(pcm.some((sample) => sample !== 0) ? "speech" : "silence")
        return line.takes
      },
      keepAlive: () => {
        line.sent.push("empty")
      },
      messages: Stream.fromQueue(incoming)
    }),
    probe: Effect.fail(new ModalError({ reason: "Rejected", detail: "no", code: 503 })),
    isLocal: true
  })
  const engine = yield* SpeechEngine.pipe(Effect.provide(ModalEngine.layer.pipe(Layer.provide(client))))
  assert.isTrue(engine.capabilities.local)
  assert.strictEqual((yield* Effect.flip(engine.probe ?? Effect.void)).reason, "Busy")
  const session = yield* engine.open({ language: defaultLanguage })
  let text = ""
  const said: Array<string | number> = []
  const reading = yield* session.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (event._tag === "Marked") said.push(event.position)
        if (event._tag !== "Appended") return
        for (const word of event.words) {
          said.push(word.text)
          text += (word.joiner === "space" ? " " : "") + word.text
        }
      })
    ),
    Effect.forkScoped
  )
  yield* TestClock.adjust(0)
  const made: Conversation = {
    session,
    line,
    text: () => text.trim(),
    said: () => said,
    marks: () => said.filter((one) => typeof one === "number"),
    reading
  }
  return made
})

const silences = (line: Line) => line.sent.filter((one) => one === "silence").length

const talk = (name: string, body: (it: Conversation) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(name, () =>
    conversation.pipe(Effect.flatMap(body), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

describe("ModalEngine", () => {
  for (const [dialect, tokens, text] of [
    ["whole words without spaces", ["Hello,", "how", "are", "you", "?", "Fine."], "Hello, how are you? Fine."],
    ["pieces with a leading space", [" Hel", "lo", ",", " how", " are", " you", "?"], "Hello, how are you?"],
    ["several words in one token", ["one two", "three  four ", "five"], "one two three four five"],
    ["spaces as tokens of their own", [" un", "even", " ", "steps"], "uneven steps"],
    ["nothing at all", ["", " ", "\n"], ""]
  ] as const)
    talk(`reads ${dialect}`, ({ line, text: heard }) =>
      Effect.gen(function* () {
        for (const token of tokens) yield* line.token(token)
        assert.strictEqual(heard(), text)
      })
    )

  talk("sends an empty message after 10 s without audio, none while audio flows", ({ session, line }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 25; index++) {
        session.send(frame(index))
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(line.sent.filter((one) => one === "empty").length, 0)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(line.sent.filter((one) => one === "empty").length, 1)
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(line.sent.filter((one) => one === "empty").length, 7)
    })
  )

  talk("flushes with what silence the model still needs, and reads on until 700 ms after the last word", (one) =>
    Effect.gen(function* () {
      const { session, line, marks } = one
      // 440 ms of 800 were silent already
      session.send({ ...frame(0), endsSpeech: true, silence: 5.5 * FRAME_SAMPLES })
      const flushing = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(line.sent, ["speech", ...Array.from({ length: 5 }, () => "silence")])
      yield* TestClock.adjust("200 millis")
      yield* line.token("last")
      yield* TestClock.adjust("699 millis")
      assert.isUndefined(flushing.pollUnsafe())
      assert.strictEqual(session.mark(), 0)
      yield* TestClock.adjust("2 millis")
      yield* Fiber.join(flushing)
      assert.strictEqual(silences(line), 5)
      assert.strictEqual(session.mark(), FRAME_SAMPLES)
      assert.deepStrictEqual(marks(), [FRAME_SAMPLES])
    })
  )

  talk("sends all 13 frames of silence where no word comes of the first, or one that comes late", ({ session, line }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      const first = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust("399 millis")
      assert.strictEqual(silences(line), 10)
      yield* TestClock.adjust("2 millis")
      assert.strictEqual(silences(line), 13)
      yield* line.token("slow")
      yield* TestClock.adjust("700 millis")
      yield* Fiber.join(first)
      assert.strictEqual(session.mark(), FRAME_SAMPLES)

      session.send(frame(1))
      const second = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust("200 millis")
      yield* line.token("in time")
      yield* TestClock.adjust("250 millis")
      yield* line.token("late")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(silences(line), 26)
      yield* TestClock.adjust("699 millis")
      yield* Fiber.join(second)
    })
  )

  talk("fills up the step that the server waits for", ({ session, line }) =>
    Effect.gen(function* () {
      session.send({ ...frame(0), pcm: new Float32Array(500).fill(0.1) })
      yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      assert.strictEqual(line.samples % FRAME_SAMPLES, 0)
    })
  )

  talk("a flush goes on as long as words come, and then proves them all", ({ session, line, text }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      const flushing = yield* Effect.forkChild(session.flush)
      for (let step = 0; step < 15; step++) {
        yield* TestClock.adjust("400 millis")
        yield* line.token("word")
      }
      assert.isUndefined(flushing.pollUnsafe())
      yield* TestClock.adjust("700 millis")
      yield* Fiber.join(flushing)
      assert.strictEqual(text().split(" ").length, 15)
      assert.strictEqual(session.mark(), FRAME_SAMPLES)
    })
  )

  talk("frames sent during a flush go behind the silence and are not covered by its mark", ({ session, line }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      const flushing = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust("100 millis")
      session.send(frame(1))
      yield* line.token("one")
      yield* TestClock.adjust("700 millis")
      yield* Fiber.join(flushing)
      assert.strictEqual(line.sent.at(-1), "speech")
      assert.strictEqual(silences(line), 10)
      assert.strictEqual(session.mark(), FRAME_SAMPLES)
    })
  )

  talk("words that may be about what was sent behind the silence prove nothing", ({ session, line, marks }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      const flushing = yield* Effect.forkChild(session.flush)
      for (let index = 1; index <= 6; index++) {
        yield* TestClock.adjust("80 millis")
        session.send(frame(index))
      }
      // half a second of audio came behind the silence: the model may be there already
      yield* line.token("whose")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(flushing)
      assert.strictEqual(session.mark(), 0)
      // the next flush covers both
      yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      yield* line.token("mine")
      yield* TestClock.adjust("700 millis")
      assert.deepStrictEqual(marks(), [7 * FRAME_SAMPLES])
    })
  )

  talk("a flush of what another one is about waits for that, and sends nothing", ({ session, line }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      const first = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      const second = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(silences(line), 10)
      assert.isUndefined(second.pollUnsafe())
      yield* line.token("one")
      yield* TestClock.adjust("700 millis")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* session.flush
      assert.strictEqual(silences(line), 10)
    })
  )

  talk("a mark stands among the words where it belongs, also for a reader who comes late", ({ said, session, line }) =>
    Effect.gen(function* () {
      for (let utterance = 0; utterance < 2; utterance++) {
        session.send(frame(utterance))
        const flushing = yield* Effect.forkChild(session.flush)
        yield* TestClock.adjust("100 millis")
        yield* line.token(`word${utterance}`)
        yield* TestClock.adjust("700 millis")
        yield* Fiber.join(flushing)
      }
      assert.deepStrictEqual(said(), ["word0", FRAME_SAMPLES, "word1", 2 * FRAME_SAMPLES])
    })
  )

  talk("a flush that nobody answers proves nothing, whatever was said before it", ({ session, line }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      yield* line.token("before")
      const flushing = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust("1399 millis")
      assert.isUndefined(flushing.pollUnsafe())
      yield* TestClock.adjust("2 millis")
      yield* Fiber.join(flushing)
      assert.strictEqual(session.mark(), 0)
    })
  )

  talk("audio that the socket did not take is never marked as heard", ({ session, line }) =>
    Effect.gen(function* () {
      session.send(frame(0))
      line.takes = false
      session.send(frame(1))
      line.takes = true
      session.send(frame(2))
      const flushing = yield* Effect.forkChild(session.flush)
      yield* TestClock.adjust(0)
      yield* line.token("one")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(flushing)
      assert.strictEqual(session.mark(), 0)
    })
  )

  talk("a close with 1000 before the first word means that it is full or broken, and at 30 minutes its age", (first) =>
    Effect.gen(function* () {
      const closed = new ModalError({ reason: "Closed", detail: "closed", code: 1000 })
      yield* first.line.end(closed)
      assert.strictEqual((yield* Effect.flip(Fiber.join(first.reading))).reason, "Busy")
      const second = yield* conversation
      yield* second.line.token("one")
      yield* TestClock.adjust("10 minutes")
      yield* second.line.end(closed)
      assert.strictEqual((yield* Effect.flip(Fiber.join(second.reading))).reason, "Closed")
      const third = yield* conversation
      yield* TestClock.adjust("30 minutes")
      yield* third.line.end(closed)
      assert.strictEqual((yield* Effect.flip(Fiber.join(third.reading))).reason, "LimitReached")
    })
  )

  for (const [error, reason, retryable] of [
    [new ModalError({ reason: "Closed", detail: "closed", code: 1000 }), "Closed", true],
    [new ModalError({ reason: "Silent", detail: "it takes no more audio" }), "Silent", true],
    [new ModalError({ reason: "ServerError", detail: "no free channels" }), "Busy", true],
    [new ModalError({ reason: "ServerError", detail: "the server reported an error" }), "Protocol", true],
    [new ModalError({ reason: "Unauthorized", detail: "no", code: 401 }), "Refused", false],
    [new ModalError({ reason: "NotConfigured", detail: "no" }), "Refused", false],
    [new ModalError({ reason: "Rejected", detail: "no", code: 503 }), "Busy", true],
    [new ModalError({ reason: "Rejected", detail: "no", code: 404 }), "Unreachable", true],
    [new ModalError({ reason: "OpenTimeout", detail: "no" }), "Unreachable", true]
  ] as const)
    talk(`${error.message} ends the session as ${reason}, after the words that came before`, (conversation) =>
      Effect.gen(function* () {
        const { line, reading, session, text } = conversation
        session.send(frame(0))
        const flushing = yield* Effect.forkChild(Effect.flip(session.flush))
        yield* line.token("last")
        yield* line.end(error)
        const end = yield* Effect.flip(Fiber.join(reading))
        assert.deepInclude(end, { _tag: "EngineError", reason, retryable })
        assert.strictEqual(text(), "last")
        assert.strictEqual((yield* Fiber.join(flushing)).reason, reason)
      })
    )

  it.effect("counts sessions and seconds", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { session } = yield* conversation
          for (let index = 0; index < 25; index++) session.send(frame(index))
          assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 1)
        })
      )
      assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 0)
      assert.strictEqual((yield* Metric.value(Metrics.engineSessions)).count, 1)
      assert.approximately(
        (yield* Metric.value(Metric.withAttributes(Metrics.engineAudioSeconds, { engine: "modal" }))).count,
        2,
        1e-9
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
