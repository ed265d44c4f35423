/** The OpenAI-compatible door over real sockets: with a plain client, and over TLS with OpenAI's own SDK. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import OpenAI from "openai"
import { OpenAIRealtimeWS } from "openai/realtime/ws"
import type { RealtimeServerEvent } from "openai/resources/realtime/realtime"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as OpenAiSimulator from "../../src/layers/OpenAiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { until } from "../support/Until.ts"

const TOKEN = "t0ken"
const settings = { apiToken: Redacted.make(TOKEN) }
const address = "/v1/realtime?intent=transcription"
const bearer = { headers: { authorization: `Bearer ${TOKEN}` } }
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hpb-tls/${name}`, import.meta.url))
const certificate = { certificate: fixture("cert.pem"), key: fixture("key.pem") }

const WORDS = [3, 1000, 2047, 512]
const TEXT = WORDS.map(wordText).join(" ")
const say = (words: ReadonlyArray<number>, sampleRate = 24_000) =>
  ToneModem.speak(words, { speaker: 2, sampleRate }).pcm
/** Words, and the second of silence after which they are an utterance. */
const audio = (words: ReadonlyArray<number>) => [DoorSetup.pcm16(say(words)), DoorSetup.silence(1000)]

const append = (bytes: Uint8Array) => ({
  type: "input_audio_buffer.append" as const,
  audio: Buffer.from(bytes).toString("base64")
})
/** Pieces of 100 ms, as clients send them. */
const pieces = (bytes: Uint8Array, size = 4800) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

const update = (input: object, extra: object = {}) => ({
  type: "session.update",
  session: { type: "transcription", audio: { input }, ...extra }
})

const isOf = (type: string) => (message: DoorSetup.Json) => message["type"] === type
const completed = isOf("conversation.item.input_audio_transcription.completed")
const deltasOf = (messages: ReadonlyArray<DoorSetup.Json>, item: unknown) =>
  messages
    .filter(isOf("conversation.item.input_audio_transcription.delta"))
    .flatMap((message) => (message["item_id"] === item ? [message["delta"]] : []))
    .join("")

const openAi = (model: string) =>
  Layer.unwrap(
    Effect.map(OpenAiSimulator.make(), ({ url }) =>
      OpenAiEngine.layer({ url, apiKey: Redacted.make(OpenAiSimulator.KEY), model })
    )
  ).pipe(Layer.orDie)

describe("the OpenAI-compatible door", () => {
  it.live("tells an utterance from its beginning to its transcript", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const client = yield* doors.connect(address, bearer)
      yield* client.said(isOf("session.created"))
      for (const bytes of audio(WORDS)) for (const piece of pieces(bytes)) client.send(append(piece))
      const done = yield* client.said(completed)
      assert.strictEqual(done["transcript"], TEXT)
      assert.strictEqual(deltasOf(client.messages, done["item_id"]), TEXT)
      const types = client.messages.map((message) => String(message["type"]))
      const order = [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed"
      ]
      assert.deepStrictEqual(
        types.filter((type) => order.includes(type)),
        order
      )
      const ids = client.messages.map((message) => message["event_id"])
      assert.strictEqual(new Set(ids).size, ids.length)
    })
  )

  it.live("completes every commit of the client, once, with what was said before it", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const client = yield* doors.connect(address, bearer)
      client.send(update({ turn_detection: null }))
      yield* client.said(isOf("session.updated"))
      const utterances = [[1, 2, 3], [4, 5], [6]]
      for (const words of utterances) {
        for (const bytes of audio(words)) for (const piece of pieces(bytes)) client.send(append(piece))
        client.send({ type: "input_audio_buffer.commit" })
      }
      client.send({ type: "input_audio_buffer.commit", event_id: "of-nothing" })
      yield* client.said((message) => completed(message) && message["transcript"] === wordText(6))
      const transcripts = client.messages.filter(completed).map((message) => message["transcript"])
      assert.deepStrictEqual(
        transcripts,
        utterances.map((words) => words.map(wordText).join(" "))
      )
      const commits = client.messages.filter(isOf("input_audio_buffer.committed")).map((message) => message["item_id"])
      assert.deepStrictEqual(
        client.messages.filter(completed).map((message) => message["item_id"]),
        commits
      )
      const error = yield* client.said(isOf("error"))
      assert.nestedInclude(error, {
        "error.code": "input_audio_buffer_commit_empty",
        "error.event_id": "of-nothing"
      })
      assert.isFalse(client.messages.some(isOf("input_audio_buffer.speech_started")))
    })
  )

  for (const [name, engine] of [
    ["OpenAI", openAi("gpt-live-transcribe")],
    ["OpenAI after the fact", openAi("gpt-transcribe")],
    ["Kyutai", DoorSetup.hearing()]
  ] as const)
    it.live(`with ${name} behind it loses no word where commits cut through speech that goes on`, () =>
      Effect.gen(function* () {
        const doors = yield* DoorSetup.start({ engine, settings })
        const client = yield* doors.connect(address, bearer)
        client.send(update({ turn_detection: null }))
        const words = Array.from({ length: 30 }, (_, i) => 60 + i)
        const spoken = ToneModem.speak(words, { speaker: 2, sampleRate: 24_000 })
        const bytes = DoorSetup.pcm16(spoken.pcm)
        // a commit in the middle of the gap behind every tenth word
        let from = 0
        for (const last of [9, 19, 29]) {
          const endMs = (spoken.words[last]?.endMs ?? 0) + 20
          const to = last === 29 ? bytes.length : Math.round(endMs * 24) * 2
          for (const piece of pieces(bytes.subarray(from, to))) client.send(append(piece))
          client.send({ type: "input_audio_buffer.commit" })
          from = to
        }
        yield* until(() => client.messages.filter(completed).length === 3)
        const transcripts = client.messages.filter(completed).map((message) => message["transcript"])
        assert.deepStrictEqual(
          transcripts,
          [0, 10, 20].map((first) =>
            words
              .slice(first, first + 10)
              .map(wordText)
              .join(" ")
          )
        )
        for (const done of client.messages.filter(completed))
          assert.strictEqual(deltasOf(client.messages, done["item_id"]), done["transcript"])
      })
    )

  for (const encoding of ["pcmu", "pcma"] as const)
    it.live(`takes audio/${encoding}, which is at 8 kHz`, () =>
      Effect.gen(function* () {
        const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
        const client = yield* doors.connect(address, bearer)
        client.send(update({ format: { type: `audio/${encoding}` }, turn_detection: null }))
        const updated = yield* client.said(isOf("session.updated"))
        assert.nestedInclude(updated, { "session.audio.input.format.type": `audio/${encoding}` })
        // no word fits into 4 kHz: what is seen is that 200 ms are 1600 bytes
        const silence = ClientAudio.rawBytes(new Float32Array(1600), { encoding, channels: 1 })
        client.send(append(silence))
        client.send({ type: "input_audio_buffer.commit" })
        const done = yield* client.said(completed)
        assert.nestedInclude(done, { transcript: "", "usage.seconds": 0.2 })
      })
    )

  it.live("lets in by header, subprotocol and nothing else", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const browser = yield* doors.connect(address, { protocols: ["realtime", `openai-insecure-api-key.${TOKEN}`] })
      yield* browser.said(isOf("session.created"))
      assert.strictEqual(browser.socket.protocol, "realtime")
      const azure = yield* doors.connect(address, { headers: { "api-key": TOKEN } })
      yield* azure.said(isOf("session.created"))
      for (const [path, options] of [
        [`${address}&token=${TOKEN}`, {}],
        [address, { protocols: ["realtime", "openai-insecure-api-key.wrong"] }]
      ] as const) {
        const stranger = yield* doors.connect(path, options)
        const error = yield* stranger.said(isOf("error"))
        assert.nestedInclude(error, { "error.code": "invalid_api_key", "error.type": "authentication_error" })
        assert.strictEqual((yield* stranger.closed).code, 1008)
        assert.isFalse(stranger.messages.some(isOf("session.created")))
      }
    })
  )

  it.live("goes on after whatever is wrong", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings })
      const client = yield* doors.connect(address, bearer)
      const wrong = [
        "{",
        "[]",
        { type: "response.create" },
        update({ format: { type: "audio/pcm", rate: 16_000 } }),
        update({}, { instructions: "be kind" }),
        { type: "input_audio_buffer.append", audio: "not base64" },
        new Uint8Array(3)
      ]
      for (const message of wrong) client.send(message)
      for (const bytes of audio(WORDS)) client.send(append(bytes))
      assert.strictEqual((yield* client.said(completed))["transcript"], TEXT)
      assert.strictEqual(client.messages.filter(isOf("error")).length, wrong.length)
    })
  )

  it.live("without an engine there is no session", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ settings })
      const client = yield* doors.connect(address, bearer)
      assert.nestedInclude(yield* client.said(isOf("error")), { "error.code": "no_engine" })
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )
})

/** OpenAI's client, connected over TLS to a server whose certificate only it trusts; everything it is told. */
const sdk = Effect.fnUntraced(function* (
  port: number,
  apiKey: string
): Effect.fn.Return<
  { readonly client: OpenAIRealtimeWS; readonly told: Array<RealtimeServerEvent>; readonly errors: Array<string> },
  never,
  Scope.Scope
> {
  const openai = new OpenAI({ apiKey, baseURL: `https://127.0.0.1:${port}/v1` })
  const client = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new OpenAIRealtimeWS(
          { intent: "transcription", options: { ca: readFileSync(certificate.certificate) } },
          openai
        )
    ),
    (open) => Effect.sync(() => open.close())
  )
  const told: Array<RealtimeServerEvent> = []
  const errors: Array<string> = []
  client.on("event", (event) => told.push(event))
  client.on("error", (error) => errors.push(error.error?.code ?? error.message))
  return { client, told, errors }
})

describe("OpenAI's own SDK", () => {
  it.live("over TLS: sets a session up, sends audio, reads deltas and transcripts", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings, certificate })
      const { client, errors, told } = yield* sdk(doors.port, TOKEN)
      yield* until(() => told.some(({ type }) => type === "session.created"))
      client.send({
        type: "session.update",
        session: {
          type: "transcription",
          audio: {
            input: {
              format: { type: "audio/pcm", rate: 24_000 },
              transcription: { model: "gpt-live-transcribe", language: "en" },
              turn_detection: { type: "server_vad", silence_duration_ms: 500 }
            }
          }
        }
      })
      yield* until(() => told.some(({ type }) => type === "session.updated"))
      for (const bytes of audio(WORDS)) for (const piece of pieces(bytes)) client.send(append(piece))
      const transcript = () =>
        told.find((event) => event.type === "conversation.item.input_audio_transcription.completed")?.transcript
      yield* until(() => transcript() !== undefined)
      assert.strictEqual(transcript(), TEXT)
      const deltas = told.flatMap((event) =>
        event.type === "conversation.item.input_audio_transcription.delta" ? [event.delta ?? ""] : []
      )
      assert.isAbove(deltas.length, 1)
      assert.strictEqual(deltas.join(""), TEXT)
      assert.deepStrictEqual(errors, [])
    })
  )

  it.live("over TLS: commits by itself, and reads errors as its own", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), settings, certificate })
      const { client, errors, told } = yield* sdk(doors.port, TOKEN)
      yield* until(() => told.length > 0)
      client.send({
        type: "session.update",
        session: { type: "transcription", audio: { input: { turn_detection: null } } }
      })
      client.send({ type: "input_audio_buffer.commit" })
      for (const piece of pieces(DoorSetup.pcm16(say(WORDS)))) client.send(append(piece))
      client.send({ type: "input_audio_buffer.commit" })
      const completions = () =>
        told.flatMap((event) =>
          event.type === "conversation.item.input_audio_transcription.completed" ? [event.transcript] : []
        )
      yield* until(() => completions().length > 0)
      assert.deepStrictEqual(completions(), [TEXT])
      assert.deepStrictEqual(errors, ["input_audio_buffer_commit_empty"])
    })
  )
})
