import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Redacted, type Scope, Stream } from "effect"
import type * as Realtime from "openai/resources/realtime/realtime"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage, type LanguageId } from "../../src/domain/Language.ts"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as EngineMark from "../../src/layers/EngineMark.ts"
import type { LocalServerError } from "../../src/layers/LocalServer.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as OpenAiAudio from "../../src/layers/OpenAiAudio.ts"
import * as OpenAiCommits from "../../src/layers/OpenAiCommits.ts"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as OpenAiItems from "../../src/layers/OpenAiItems.ts"
import type * as OpenAiProtocol from "../../src/layers/OpenAiProtocol.ts"
import * as OpenAiSetup from "../../src/layers/OpenAiSetup.ts"
import * as OpenAiSimulator from "../../src/layers/OpenAiSimulator.ts"
import { wordsOf } from "../../src/layers/OpenAiWords.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import type { EngineError, EngineSession } from "../../src/services/SpeechEngine.ts"
import { until } from "../support/Until.ts"

/** The whole schema of each event takes whatever the `openai` package says the server sends; ours go where it says they may. */
const fits: readonly [
  (event: Realtime.ConversationItemInputAudioTranscriptionDeltaEvent) => typeof OpenAiProtocol.Delta.Encoded,
  (event: Realtime.ConversationItemInputAudioTranscriptionCompletedEvent) => typeof OpenAiProtocol.Completed.Encoded,
  (event: Realtime.ConversationItemInputAudioTranscriptionFailedEvent) => typeof OpenAiProtocol.Failed.Encoded,
  (event: Realtime.InputAudioBufferCommittedEvent) => typeof OpenAiProtocol.Committed.Encoded,
  (event: Realtime.InputAudioBufferSpeechStartedEvent) => typeof OpenAiProtocol.SpeechStarted.Encoded,
  (event: Realtime.InputAudioBufferSpeechStoppedEvent) => typeof OpenAiProtocol.SpeechStopped.Encoded,
  (event: Realtime.RealtimeErrorEvent) => typeof OpenAiProtocol.ServerFault.Encoded,
  (event: Realtime.SessionCreatedEvent) => typeof OpenAiProtocol.SessionCreated.Encoded,
  (event: Realtime.SessionUpdatedEvent) => typeof OpenAiProtocol.SessionUpdated.Encoded,
  (event: ReturnType<typeof OpenAiProtocol.sessionUpdate>) => Realtime.SessionUpdateEvent,
  (event: ReturnType<typeof OpenAiProtocol.commit>) => Realtime.InputAudioBufferCommitEvent
] = [
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event
]

interface Talk {
  readonly session: EngineSession
  readonly server: OpenAiSimulator.OpenAiSimulator
  readonly events: ReadonlyArray<SpeechEvent>
  readonly reading: Fiber.Fiber<void, EngineError>
  /** Says words as one stretch of speech, as fast as the socket takes them; gives the position behind it. */
  readonly say: (words: ReadonlyArray<number>) => number
}

interface TalkOptions extends OpenAiSimulator.OpenAiSimulatorOptions {
  readonly model?: string
  readonly language?: LanguageId
}

const engineFor = (server: OpenAiSimulator.OpenAiSimulator, options: Partial<OpenAiEngine.Options> = {}) =>
  OpenAiEngine.make({
    url: server.url,
    apiKey: Redacted.make(OpenAiSimulator.KEY),
    model: "gpt-live-transcribe",
    ...options
  })

const talk = Effect.fnUntraced(function* ({
  model = "gpt-live-transcribe",
  language = defaultLanguage,
  ...options
}: TalkOptions = {}): Effect.fn.Return<Talk, EngineError | LocalServerError, Scope.Scope> {
  const server = yield* OpenAiSimulator.make(options)
  const engine = yield* engineFor(server, { model })
  const session = yield* engine.open({ language })
  const events: Array<SpeechEvent> = []
  const reading = yield* session.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.forkScoped
  )
  let position = 0
  const say = (words: ReadonlyArray<number>) => {
    const { pcm } = ToneModem.speak(words, { speaker: 3, sampleRate: 24_000 })
    for (let from = 0; from < pcm.length; from += FRAME_SAMPLES) {
      const frame = new Float32Array(FRAME_SAMPLES)
      frame.set(pcm.subarray(from, from + FRAME_SAMPLES))
      const endsSpeech = from + FRAME_SAMPLES >= pcm.length
      session.send({ position, pcm: frame, heardAtMs: 0, endsSpeech })
      position += FRAME_SAMPLES
    }
    return position
  }
  return { session, server, events, reading, say }
})

/** What the deltas of each item say, and what it was at the end. */
const texts = (events: ReadonlyArray<SpeechEvent>) => {
  const shown = new Map<string, string>()
  const final = new Map<string, string>()
  for (const event of events) {
    if (event._tag === "Appended")
      for (const { joiner, text } of event.words)
        shown.set(event.item, `${shown.get(event.item) ?? ""}${joiner === "space" ? " " : ""}${text}`)
    if (event._tag === "Completed") final.set(event.item, event.text ?? "")
  }
  return { shown: [...shown.values()].map((text) => text.trim()), final: [...final.values()] }
}

const spoken = (words: ReadonlyArray<number>) => words.map(wordText).join(" ")

describe("OpenAiEngine", () => {
  it.live("words come while they are spoken; a flush commits them, waits for their text and proves them", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk({ punctuation: true })
      const end = say([1, 2, 3])
      yield* until(() => server.log().length >= 2 && texts(events).shown.length > 0)
      assert.strictEqual(server.counters().commits, 0)
      assert.strictEqual(session.mark(), 0)
      yield* session.flush
      const { final, shown } = texts(events)
      assert.deepStrictEqual(shown, [spoken([1, 2, 3])])
      const text = spoken([1, 2, 3])
      assert.deepStrictEqual(final, [`${text.charAt(0).toUpperCase()}${text.slice(1)}.`])
      assert.strictEqual(session.mark(), end)
      assert.deepStrictEqual(server.errors(), [])
      assert.deepInclude(server.counters(), { corrupt: 0, gaps: 0 })
    })
  )

  for (const model of ["gpt-live-transcribe", "gpt-4o-transcribe"])
    it.live(`utterances that complete in another order are told in the order they were spoken in (${model})`, () =>
      Effect.gen(function* () {
        const { session, server, events, say } = yield* talk({ model })
        server.control({ _tag: "Hold" })
        const flushes: Array<Fiber.Fiber<void, EngineError>> = []
        const ends: Array<number> = []
        for (const word of [5, 6, 7]) {
          ends.push(say([word]))
          flushes.push(yield* Effect.forkChild(session.flush, { startImmediately: true }))
        }
        yield* until(() => server.counters().commits === 3)
        assert.strictEqual(session.mark(), 0)
        server.control({ _tag: "Release", order: "reversed" })
        for (const flush of flushes) yield* Fiber.join(flush)
        const story: Array<string | number | undefined> = []
        for (const event of events) {
          if (event._tag === "Completed") story.push(event.text)
          if (event._tag === "Marked") story.push(event.position)
        }
        assert.deepStrictEqual(story, [wordText(5), ends[0], wordText(6), ends[1], wordText(7), ends[2]])
        const first = events.findIndex((event) => event._tag === "Marked")
        const said = events.slice(0, first).flatMap((event) => (event._tag === "Appended" ? [event.item] : []))
        assert.strictEqual(new Set(said).size, 1)
      })
    )

  it.live("an item that was given up is told, ends the flush and proves nothing", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk()
      server.control({ _tag: "Fail" })
      say([8])
      yield* session.flush
      assert.deepInclude(events.at(-1), { _tag: "Failed", detail: "transcription_failed" })
      assert.strictEqual(session.mark(), 0)
      const end = say([9])
      yield* session.flush
      assert.strictEqual(session.mark(), end)
    })
  )

  for (const how of ["Fail", "Lose"] as const)
    it.live(
      `an item that is lost (${how}) behind one that was not ends the session: it is sent again from the mark`,
      () =>
        Effect.gen(function* () {
          const { session, server, events, reading, say } = yield* talk({ model: "gpt-4o-transcribe" })
          const end = say([8])
          yield* session.flush
          server.control({ _tag: how })
          say([9])
          yield* session.commit
          say([10])
          yield* session.commit
          assert.strictEqual((yield* Effect.flip(Fiber.join(reading))).reason, "Protocol")
          assert.deepStrictEqual(texts(events).final, [wordText(8)])
          assert.strictEqual(session.mark(), end)
        })
    )

  it.live("an item that never ends, first of its session, is passed over after 3 s, and the words behind it come", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk({ model: "gpt-4o-transcribe" })
      server.control({ _tag: "Lose" })
      say([9])
      yield* session.commit
      const end = say([10])
      yield* session.flush
      assert.deepStrictEqual(texts(events).final, [wordText(10)])
      assert.strictEqual(session.mark(), end)
    })
  )

  it.live("what is too short to be committed waits for what follows; nothing is not committed at all", () =>
    Effect.gen(function* () {
      const { session, server, say } = yield* talk()
      yield* session.flush
      session.send({ position: 0, pcm: new Float32Array(FRAME_SAMPLES), heardAtMs: 0, endsSpeech: true })
      yield* session.flush
      assert.strictEqual(server.counters().commits, 0)
      say([10])
      yield* session.flush
      yield* session.flush
      assert.strictEqual(server.counters().commits, 1)
      assert.deepStrictEqual(server.errors(), [])
    })
  )

  it.live("speech without a pause is committed after 30 s at the latest, and no word is lost by that", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk()
      const words = Array.from({ length: 100 }, (_, i) => i)
      say(words)
      yield* session.flush
      assert.strictEqual(server.counters().commits, 2)
      assert.strictEqual(texts(events).final.join(" "), spoken(words))
      const causes = events.flatMap((event) => (event._tag === "Completed" ? [event.cause] : []))
      assert.deepStrictEqual(causes, ["MaxLength", "Silence"])
    })
  )

  it("speech without a pause is committed between two words from 20 s on", () => {
    const commits = (quietAtS: ReadonlyArray<number>) => {
      const sent: Array<string> = []
      const send = (message: string) => sent.push(message) > 0
      const items = OpenAiItems.make(OpenAiCommits.make(EngineMark.make()))
      const audio = OpenAiAudio.make({ items, send, now: () => 0, onAppended: () => {} })
      const found: Array<number> = []
      for (let index = 0; index * 0.08 < 62; index++) {
        const isQuiet = quietAtS.some((at) => Math.abs(index * 0.08 - at) < 0.04)
        const pcm = Float32Array.from({ length: FRAME_SAMPLES }, (_, i) => (isQuiet ? 0.001 : 0.2) * Math.sin(i / 9))
        const before = sent.length
        audio.append({ position: index * FRAME_SAMPLES, pcm, heardAtMs: 0, endsSpeech: false })
        if (sent.length > before + 1) found.push(Math.round(index * 0.08))
      }
      return found
    }
    assert.deepStrictEqual(commits([]), [30, 60])
    assert.deepStrictEqual(commits([5, 10, 24, 50]), [24, 50])
  })

  it.live("a commit ends the utterance without waiting", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk({ model: "gpt-transcribe" })
      say([11, 12])
      yield* session.commit
      yield* until(() => texts(events).final.length === 1)
      assert.deepStrictEqual(texts(events), { shown: [spoken([11, 12])], final: [spoken([11, 12])] })
      assert.strictEqual(server.counters().commits, 1)
    })
  )

  for (const refused of ["logprobs", "turn_detection", "language"] as const)
    it.live(`a server that refuses ${refused} is asked without, then and from then on`, () =>
      Effect.gen(function* () {
        const server = yield* OpenAiSimulator.make({ refuses: [refused] })
        const engine = yield* engineFor(server)
        yield* Effect.scoped(engine.open({ language: defaultLanguage }))
        yield* Effect.scoped(engine.open({ language: defaultLanguage }))
        assert.deepStrictEqual(server.errors(), ["invalid_value"])
        assert.strictEqual(server.counters().opened, 2)
      })
    )

  it.live("log probabilities become the confidence of words", () =>
    Effect.gen(function* () {
      const { session, events, say } = yield* talk({ model: "gpt-4o-transcribe" })
      say([13, 14])
      yield* session.flush
      const completed = events.find((event) => event._tag === "Completed")
      assert.strictEqual(completed?.words?.length, 2)
      for (const { confidence } of completed?.words ?? []) assert.closeTo(confidence ?? 0, Math.exp(-0.1), 1e-9)
    })
  )

  for (const [behaviour, reason, detail] of [
    ["refuse", "Refused", "OPENAI_API_KEY"],
    ["forbid", "Refused", "key"],
    ["missing", "Refused", "LT_OPENAI_URL"],
    ["busy", "Busy", "429"]
  ] as const)
    it.live(`a server that answers with ${behaviour} is told apart in plain words`, () =>
      Effect.gen(function* () {
        const server = yield* OpenAiSimulator.make()
        server.control({ _tag: "Behave", as: behaviour })
        const engine = yield* engineFor(server)
        const error = yield* Effect.flip(Effect.scoped(engine.open({ language: defaultLanguage })))
        assert.strictEqual(error.reason, reason)
        assert.include(error.detail, detail)
        assert.notInclude(error.message, OpenAiSimulator.KEY)
      })
    )

  it.live("a model nobody knows and a wrong key are refused without quoting anything", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiSimulator.make()
      const open = (options: Partial<OpenAiEngine.Options>) =>
        Effect.flatMap(engineFor(server, options), (engine) =>
          Effect.scoped(engine.open({ language: defaultLanguage }))
        )
      const model = yield* Effect.flip(open({ model: "gpt-9-secret" }))
      assert.deepInclude(model, { reason: "Refused", retryable: false })
      assert.include(model.detail, "MODEL_NAME")
      const key = yield* Effect.flip(open({ apiKey: Redacted.make("sk-wrong-key") }))
      assert.deepInclude(key, { reason: "Refused" })
      assert.notInclude(model.message + key.message, "secret")
      assert.notInclude(key.message, "sk-wrong")
    })
  )

  it.live("Azure's key has a header of its own, and no model is ever in the address", () =>
    Effect.gen(function* () {
      const target = (url: string) => OpenAiSetup.targetOf({ url, apiKey: Redacted.make("k") })
      assert.deepStrictEqual(yield* target("https://x.openai.azure.com/openai/v1/realtime?model=y"), {
        url: "wss://x.openai.azure.com/openai/v1/realtime?intent=transcription",
        headers: { "api-key": "k" }
      })
      assert.deepStrictEqual(yield* target("wss://azure.com.example.org/v1/realtime"), {
        url: "wss://azure.com.example.org/v1/realtime?intent=transcription",
        headers: { Authorization: "Bearer k" }
      })
      assert.strictEqual((yield* Effect.flip(target("file:///etc/passwd"))).reason, "Refused")
    })
  )

  for (const [how, control, reason] of [
    ["expires", { _tag: "Expire" }, "LimitReached"],
    ["is closed", { _tag: "Kill", how: "close" }, "Closed"],
    ["breaks", { _tag: "Kill", how: "crash" }, "Closed"]
  ] as const)
    it.live(`a session that ${how} ends as ${reason}, and so does a flush under way`, () =>
      Effect.gen(function* () {
        const { session, server, reading, say, events } = yield* talk()
        server.control({ _tag: "Hold" })
        say([15, 16])
        const flushing = yield* Effect.forkChild(Effect.flip(session.flush), { startImmediately: true })
        yield* until(() => server.counters().commits === 1)
        server.control(control)
        assert.strictEqual((yield* Effect.flip(Fiber.join(reading))).reason, reason)
        assert.strictEqual((yield* Fiber.join(flushing)).reason, reason)
        assert.deepStrictEqual(texts(events).shown, [spoken([15, 16])])
      })
    )

  it.live("a server that does not answer a commit any more ends the session as Silent", () =>
    Effect.gen(function* () {
      const { session, server, reading, say } = yield* talk()
      say([18])
      yield* session.flush
      server.control({ _tag: "Behave", as: "silent" })
      say([19])
      yield* Effect.ignore(session.flush)
      assert.strictEqual((yield* Effect.flip(Fiber.join(reading))).reason, "Silent")
    })
  )

  it.live("messages nobody understands are counted and end nothing", () =>
    Effect.gen(function* () {
      const { session, server, events, say } = yield* talk()
      const garbage = ["not json", "[]", "{}", '{"type":"something.new"}', '{"type":17}', Buffer.from([1, 2, 3])]
      for (const message of garbage) server.control({ _tag: "Babble", message })
      say([17])
      yield* session.flush
      assert.deepStrictEqual(texts(events).final, [wordText(17)])
      const unknown = Metric.withAttributes(Metrics.unknownMessages, { source: "openai" })
      assert.strictEqual((yield* Metric.value(unknown)).count, 6)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.live("the connection closes with the scope", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiSimulator.make()
      const engine = yield* engineFor(server)
      yield* Effect.scoped(engine.open({ language: defaultLanguage }))
      assert.strictEqual(server.counters().opened, 1)
      yield* until(() => server.counters().active === 0)
    })
  )

  it("reads text in pieces of any length, with what stands between words", () => {
    const plain = (text: string, spaceBefore: boolean) =>
      wordsOf(text, { spaceBefore }).map(({ joiner, text: word }) => `${joiner === "space" ? "_" : ""}${word}`)
    assert.deepStrictEqual(plain("Hello, wor", true), ["_Hello,", "_wor"])
    assert.deepStrictEqual(plain("ld. ", false), ["ld."])
    assert.deepStrictEqual(plain(" こんにちは", false), ["_こんにちは"])
    assert.deepStrictEqual(plain(" ", false), [])
    assert.strictEqual(fits.length, 11)
  })
})
