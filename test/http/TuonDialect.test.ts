import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { closeCodes, type Failure } from "../../src/http/Dialect.ts"
import { tuon } from "../../src/http/TuonDialect.ts"
import { tuonV2 } from "../../src/http/TuonV2Dialect.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { begin, segment } from "../support/DialectScene.ts"
import * as DoorSetup from "../support/DoorSetup.ts"

const path = "/v1/transcriptions"
const words = [11, 222, 333]
const spoken = words.map(wordText).join(" ")
const speech = DoorSetup.pcm16(ToneModem.speak(words, { speaker: 1, sampleRate: 24_000 }).pcm)
const has = (key: string) => (message: DoorSetup.Json) => key in message
const textsOf = (client: DoorSetup.DoorClient, key: string) => client.messages.flatMap((message) => message[key] ?? [])

const sessionId = { session_id: "5a3c0c1e-0000-4000-8000-000000000000" }
const detected = (sampleRate = 24_000, channels = 1) => ({
  _tag: "Detected",
  otherwise: { _tag: "Raw", encoding: "pcm16", sampleRate, channels }
})

const started = (more: object = {}) => {
  const conversation = begin(tuon)
  conversation.says({ action: "start", ...more })
  return conversation
}

describe("a client of tuon", () => {
  it.live("hears its session, partials that add up, and the final; stop brings the last words and 1000", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const client = yield* doors.connect(path)
      client.send({ action: "start", language: "en" })
      client.send(speech)
      client.send(DoorSetup.silence(2000))
      yield* client.said(has("final"))
      client.send(speech)
      client.send({ action: "stop" })
      client.send(speech)
      assert.deepStrictEqual(yield* client.closed, { code: 1000, reason: "" })
      assert.deepStrictEqual(textsOf(client, "final"), [spoken, spoken])
      assert.strictEqual(textsOf(client, "partial").join(""), spoken + spoken)
      assert.match(String(client.messages[0]?.["session_id"]), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
      for (const message of client.messages) assert.lengthOf(Object.keys(message), 1)
    })
  )

  it.live("with details also hears where in its audio, and what is open now", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const client = yield* doors.connect(path)
      client.send({ action: "start", details: true, model: "nobody's" })
      client.send(speech)
      client.send({ action: "commit" })
      yield* client.said(has("committed"))
      const [, ready, speaks] = client.messages
      assert.deepStrictEqual(ready, { ready: { engine: "modal", model: "modal", language: "en" } })
      assert.deepStrictEqual(speaks, { speech: "started", at: 0 })
      const partials = client.messages.filter(has("partial"))
      assert.deepStrictEqual(
        partials.map(({ replace }) => replace),
        [wordText(11), `${wordText(11)} ${wordText(222)}`, spoken]
      )
      const final = yield* client.said(has("final"))
      assert.include(final, { final: spoken, segment: partials[0]?.["segment"], start: 0 })
      assert.closeTo(Number(final["end"]), speech.length / 48_000, 0.4)
    })
  )

  it.live("shows its token in the start, or is told with 1008 that it is needed", () =>
    Effect.gen(function* () {
      const settings = { apiToken: Redacted.make("s3cret") }
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const ofStart = Effect.fnUntraced(function* (start: DoorSetup.Json) {
        const client = yield* doors.connect(path)
        client.send({ action: "start", ...start })
        return client
      })
      const known = yield* ofStart({ token: "s3cret" })
      yield* known.said(has("session_id"))
      for (const start of [{ token: "guess" }, {}]) {
        const client = yield* ofStart({ ...start, details: true })
        const refusal = yield* client.said(has("error"))
        assert.strictEqual(refusal["code"], "token" in start ? "Unauthorized" : "Unauthenticated")
        assert.strictEqual((yield* client.closed).code, 1008)
      }
    })
  )

  it.live("is told that there is no engine, and closed with 1011", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start()
      const client = yield* doors.connect(path)
      client.send({ action: "start" })
      yield* client.said(has("error"))
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )

  it.live("that begins otherwise is closed with 1008, and hears why only when it began with audio", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: ScriptedEngine.layer() })
      for (const first of ["hello", "[]", '{"action":"stop"}', '{"language":"en"}', '{"action":"start"']) {
        const client = yield* doors.connect(path)
        client.send(first)
        assert.strictEqual((yield* client.closed).code, 1008)
        assert.deepStrictEqual(client.messages, [])
      }
      for (const first of [speech, { action: "start", sample_rate: 7 }, { action: "start", format: "mp3" }]) {
        const client = yield* doors.connect(path)
        client.send(first)
        assert.strictEqual((yield* client.closed).code, 1008)
        assert.deepStrictEqual(client.messages.map(Object.keys), [["error"]])
      }
    })
  )
})

describe("the dialect of tuon", () => {
  it("takes what the client wants from its start, under all the names there are", () => {
    const ask = (more: object) =>
      begin(tuon)
        .says({ action: "start", ...more })
        .at(-1)
    assert.deepStrictEqual(ask({}), { Start: { format: detected() } })
    assert.deepStrictEqual(ask({ language: "de-DE" }), { Start: { format: detected(), language: "de-DE" } })
    assert.deepStrictEqual(ask({ lang: "de", model: "m" }), {
      Start: { format: detected(), language: "de", engine: "m" }
    })
    assert.deepStrictEqual(ask({ engine: "e", model: "m", language: null, unknown: [1] }), {
      Start: { format: detected(), engine: "e" }
    })
    assert.deepStrictEqual(ask({ sample_rate: 16_000, channels: 2 }), { Start: { format: detected(16_000, 2) } })
    assert.deepStrictEqual(ask({ format: "webm" }), { Start: { format: detected() } })
    assert.deepStrictEqual(ask({ format: "pcmu" }), {
      Start: { format: { _tag: "Raw", encoding: "pcmu", sampleRate: 8000, channels: 1 } }
    })
    assert.deepStrictEqual(begin(tuon).says({ action: "start", token: "t" }), [
      "Authenticate t",
      sessionId,
      { Start: { format: detected() } }
    ])
  })

  it("goes on after a second start, an unknown action and text that is none; ignores empty audio", () => {
    const conversation = started()
    assert.deepStrictEqual(conversation.says({ action: "start" }), [{ error: "upstream_already_started" }])
    for (const text of ["{", "null", '{"action":"dance"}', '{"action":7}', ""]) {
      assert.deepStrictEqual(conversation.says(text), [
        { error: "not understood: text must be a JSON object with action stop or commit" }
      ])
    }
    assert.deepStrictEqual(conversation.says(new Uint8Array()), [])
    assert.deepStrictEqual(conversation.says(new Uint8Array(3)), ["Audio 3"])
  })

  it("gives words to append with the space they need, never twice, and none that may change", () => {
    const conversation = started()
    assert.deepStrictEqual(conversation.tells(segment("", { open: "Good" })), [])
    assert.deepStrictEqual(conversation.tells(segment("Good", { open: "mourning" })), [{ partial: "Good" }])
    assert.deepStrictEqual(conversation.tells(segment("Good morning")), [{ partial: " morning" }])
    assert.deepStrictEqual(conversation.tells(segment("Good morning")), [])
    assert.deepStrictEqual(conversation.tells(segment("Good morning, all.", { final: true })), [
      { final: "Good morning, all." }
    ])
    assert.deepStrictEqual(conversation.tells(segment("And", { id: "s:1" })), [{ partial: "And" }])
    assert.deepStrictEqual(conversation.tells(segment("", { id: "s:2", final: true })), [])
  })

  it("with details shows what may change, and that nothing came of a segment", () => {
    const conversation = started({ details: true })
    const times = { start: 1, end: 2 }
    assert.deepStrictEqual(conversation.tells(segment("Good", { open: "mourning" })), [
      { partial: "Good", segment: "s:0", ...times, replace: "Good mourning" }
    ])
    assert.deepStrictEqual(conversation.tells(segment("Good", { open: "morning" })), [
      { partial: "", segment: "s:0", ...times, replace: "Good morning" }
    ])
    assert.deepStrictEqual(conversation.tells(segment("", { id: "s:1", final: true })), [
      { final: "", segment: "s:1", ...times }
    ])
    assert.deepStrictEqual(conversation.tells({ _tag: "SpeechStopped", atMs: 1240.4 }), [
      { speech: "stopped", at: 1.24 }
    ])
  })

  it("with details says what would not have to be said again", () => {
    const settled = { _tag: "Settled", throughMs: 2400 } as const
    assert.deepStrictEqual(started({ details: true }).tells(settled), [{ settled: 2.4 }])
    assert.deepStrictEqual(started().tells(settled), [])
  })

  it("says what went wrong for people and closes with the code of the failure", () => {
    const failures: ReadonlyArray<Failure> = [
      "BadAudio",
      "NoEngine",
      "Idle",
      "SessionLimit",
      "ShuttingDown",
      "Internal"
    ]
    for (const failure of failures) {
      assert.deepStrictEqual(started().tells({ _tag: "Failed", failure, detail: "because" }), [
        { error: "because" },
        `Close ${closeCodes[failure]}`
      ])
    }
    assert.deepStrictEqual(
      started({ details: true }).tells({ _tag: "Denied", denial: "DailyMinutes", detail: "why" }),
      [{ error: "why", code: "DailyMinutes" }, "Close 1008"]
    )
  })
})

describe("the second version of tuon", () => {
  it.live("says when it is connected and ready, and names what is said", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const client = yield* doors.connect("/api/ws/transcriptions")
      client.send({ action: "start", lang: "en" })
      client.send(speech)
      client.send({ action: "stop" })
      assert.strictEqual((yield* client.closed).code, 1000)
      const [connected, ready, ...said] = client.messages
      assert.include(connected, { type: "connected" })
      assert.deepStrictEqual(ready, { ready: true })
      const partials = said.filter(({ type }) => type === "partial")
      assert.strictEqual(partials.map(({ text }) => text).join(""), spoken)
      assert.deepStrictEqual(said.at(-1), { type: "final", text: spoken, item_id: partials[0]?.["item_id"] })
    })
  )

  it("names its errors", () => {
    const conversation = begin(tuonV2)
    assert.deepStrictEqual(begin(tuonV2).says("hello"), ["Close 1008"])
    conversation.says({ action: "start" })
    assert.deepStrictEqual(conversation.says({ action: "start" }), [{ error: "upstream_already_started" }])
    assert.deepStrictEqual(conversation.tells({ _tag: "Failed", failure: "NoEngine", detail: "none" }), [
      { error: "upstream_setup_failed", detail: "none" },
      "Close 1011"
    ])
  })
})

describe("speech that had to be given up", () => {
  const interrupted = { _tag: "Interrupted", atMs: 31_200, lengthMs: 12_400 } as const

  it("is told to those who asked for details, and to clients of the second version, who skip what they do not know", () => {
    assert.deepStrictEqual(started({ details: true }).tells(interrupted), [{ interrupted: 12.4, at: 31.2 }])
    assert.deepStrictEqual(started().tells(interrupted), [])
    assert.deepStrictEqual(begin(tuonV2).tells(interrupted), [{ type: "interrupted", seconds: 12.4, at: 31.2 }])
  })
})
