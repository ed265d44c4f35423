/**
 * The NeMo dialect over a real port, with clients that read as those of tldw_server's documentation do: one message after the configuration,
 * at most one after each message of audio, one after a commit.
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import * as MoshiEngine from "../../src/layers/MoshiEngine.ts"
import * as MoshiSimulator from "../../src/layers/MoshiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { live } from "../support/Live.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const KEY = "key-of-the-deployment"
const GUEST = "a-long-token-of-a-guest-0123456789"
const PATH = "/api/v1/audio/stream/transcribe"
const WORDS = Array.from({ length: 9 }, (_, index) => 40 + 11 * index)
const TEXT = WORDS.map(wordText).join(" ")

const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ type: Schema.String, text: Schema.optionalKey(Schema.String) }))
)

/** 5 s: the words and silence around them. */
const speech = (sampleRate: number): Float32Array => {
  const pcm = new Float32Array(5 * sampleRate)
  pcm.set(ToneModem.speak(WORDS, { speaker: 1, sampleRate }).pcm, sampleRate / 2)
  return pcm
}
const float32 = (pcm: Float32Array) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString("base64")
const pcm16 = (pcm: Float32Array) => Buffer.from(DoorSetup.pcm16(pcm)).toString("base64")
const pieces = (pcm: Float32Array, samples: number) =>
  Array.from({ length: Math.ceil(pcm.length / samples) }, (_, n) => pcm.slice(n * samples, (n + 1) * samples))
const audio = (data: string) => ({ type: "audio", data })
const old = { type: "config", model: "parakeet", variant: "standard", sample_rate: 16_000, enable_partial: true }
const strict = { type: "config", protocol_version: 1, mode: "captions", sample_rate: 16_000, audio_format: "pcm16" }

const start = (settings: object = {}) =>
  DoorSetup.start({ engine: DoorSetup.hearing(), settings: { apiToken: Redacted.make(KEY), ...settings } })

/** Reads message by message, in order. */
const reader = (client: DoorSetup.DoorClient) => {
  let read = 0
  return (waitMs = 10_000): Effect.Effect<DoorSetup.Json | undefined> =>
    Effect.gen(function* () {
      const untilMs = performance.now() + waitMs
      while (client.messages.length <= read && performance.now() < untilMs) yield* Effect.sleep("5 millis")
      const message = client.messages[read]
      if (message !== undefined) read += 1
      return message
    })
}

describe("the door of the NeMo dialect", () => {
  live(
    "a client that reads one message for each it sends gets ready, results, and the full transcript for its commit",
    Effect.gen(function* () {
      const doors = yield* start()
      const client = yield* doors.connect(`${PATH}?token=${KEY}`)
      const receive = reader(client)
      client.send(old)
      assert.deepInclude(yield* receive(), { type: "status", state: "ready", model: "parakeet" })
      const results: Array<DoorSetup.Json> = []
      for (const second of pieces(speech(16_000), 16_000)) {
        client.send(audio(float32(second)))
        const result = yield* receive(100)
        if (result !== undefined) results.push(result)
        yield* Effect.sleep("900 millis")
      }
      client.send({ type: "commit" })
      assert.deepInclude(yield* receive(), { type: "full_transcript", text: TEXT, auto_commit: false })
      assert.isAbove(results.length, 0)
      assert.isTrue(results.every(({ type }) => type === "partial" || type === "final"))
    })
  )

  live(
    "a client with a browser's WebSocket and Float32Arrays reads every word, at any rate",
    Effect.gen(function* () {
      const doors = yield* start()
      for (const sampleRate of [16_000, 44_100, 48_000]) {
        const socket = new WebSocket(doors.url(`${PATH}?token=${KEY}`))
        const finals: Array<string> = []
        const full = Promise.withResolvers<string>()
        const closed = new Promise<number>((done) => socket.addEventListener("close", ({ code }) => done(code)))
        socket.addEventListener("message", ({ data }) => {
          const message = decode(data)
          if (message.type === "final") finals.push(message.text ?? "")
          if (message.type === "full_transcript") full.resolve(message.text ?? "")
        })
        yield* Effect.promise(() => new Promise((done) => socket.addEventListener("open", done)))
        socket.send(JSON.stringify({ ...old, sample_rate: sampleRate }))
        for (const piece of pieces(speech(sampleRate), 4096)) socket.send(JSON.stringify(audio(float32(piece))))
        socket.send(JSON.stringify({ type: "stop" }))
        assert.strictEqual(yield* Effect.promise(() => full.promise), TEXT)
        assert.strictEqual(finals.join(" "), TEXT)
        assert.strictEqual(yield* Effect.promise(() => closed), 1000)
      }
    })
  )

  live(
    "who sends all at once and then waits is told everything too",
    Effect.gen(function* () {
      const doors = yield* start()
      const client = yield* doors.connect(`${PATH}?token=${KEY}`)
      for (const piece of pieces(speech(16_000), 16_000)) client.send(audio(float32(piece)))
      yield* client.said(({ text, type }) => type === "final" && String(text).endsWith(wordText(WORDS.at(-1) ?? 0)))
      const finals = client.messages.filter(({ type }) => type === "final").map(({ text }) => text)
      assert.strictEqual(finals.join(" "), TEXT)
    })
  )

  live(
    "a client of today sends PCM16, is told at once, and has the finals before the full transcript",
    Effect.gen(function* () {
      const server = yield* MoshiSimulator.make()
      const engine = MoshiEngine.layer({ url: server.url, key: Redacted.make("public_token") })
      const doors = yield* DoorSetup.start({ engine, settings: { apiToken: Redacted.make(KEY) } })
      const client = yield* doors.connect(PATH, { headers: { "X-API-KEY": KEY } })
      client.send(strict)
      for (const piece of pieces(speech(16_000), 3200)) {
        client.send(audio(pcm16(piece)))
        yield* Effect.sleep("20 millis")
      }
      client.send({ type: "commit" })
      assert.deepInclude(yield* client.said(({ type }) => type === "full_transcript"), { text: TEXT })
      const types = client.messages.map(({ type }) => type)
      assert.strictEqual(types[0], "status")
      assert.isTrue(types.includes("partial"))
      assert.strictEqual(types.at(-2), "final")
      client.send({ type: "reset" })
      yield* client.said(({ state }) => state === "reset")
      client.send({ type: "commit" })
      yield* client.said(({ text, type }) => type === "full_transcript" && text === "")
    })
  )

  live(
    "PCM16 of a client that did not say so is heard, with a warning",
    Effect.gen(function* () {
      const doors = yield* start()
      const client = yield* doors.connect(`${PATH}?token=${KEY}`)
      client.send(old)
      for (const piece of pieces(speech(16_000), 8000)) client.send(audio(pcm16(piece)))
      client.send({ type: "commit" })
      assert.deepInclude(yield* client.said(({ type }) => type === "full_transcript"), { text: TEXT })
      yield* client.said(({ type, warning_type }) => type === "warning" && warning_type === "audio_format")
    })
  )

  live(
    "who does not prove who they are is closed on with 4401, who uses too much with 4003, each with an error before",
    Effect.gen(function* () {
      const tokensFile = join(yield* temporaryFolder, "tokens.json")
      writeFileSync(tokensFile, JSON.stringify([{ name: "guest", token: GUEST, concurrentStreams: 1 }]))
      const doors = yield* start({ tokensFile })
      const stranger = yield* doors.connect(`${PATH}?token=wrong`)
      assert.deepInclude(yield* stranger.closed, { code: 4401 })
      assert.deepInclude(stranger.messages[0], { type: "error", error_type: "unauthorized" })
      const hasty = yield* doors.connect(PATH)
      hasty.send(old)
      assert.deepInclude(yield* hasty.closed, { code: 4401 })

      const first = yield* doors.connect(PATH)
      first.send({ type: "auth", token: GUEST })
      yield* first.said(({ message }) => message === "Authenticated")
      const second = yield* doors.connect(`${PATH}?token=${GUEST}`)
      assert.deepInclude(yield* second.closed, { code: 4003 })
      assert.deepInclude(second.messages[0], { error_type: "quota_exceeded", quota: "concurrent_streams" })
    })
  )

  live(
    "bad input costs the session that sends it, and no other",
    Effect.gen(function* () {
      const doors = yield* start()
      const good = yield* doors.connect(`${PATH}?token=${KEY}`)
      good.send(old)
      for (const [message, code] of [
        ["{", 4400],
        [new Uint8Array(8), 4400],
        [audio("no base64!"), 4400],
        [audio("AAAA"), 4400],
        [{ type: "config", sample_rate: 3 }, 4400],
        [audio("A".repeat(3 * 1024 * 1024)), 1009]
      ] as const) {
        const bad = yield* doors.connect(`${PATH}?token=${KEY}`)
        bad.send(strict)
        yield* bad.said(({ state }) => state === "ready")
        bad.send(message)
        assert.deepInclude(yield* bad.closed, { code })
        if (code !== 1009) assert.deepInclude(bad.messages.at(-1), { type: "error" })
      }
      const nan = Float32Array.from({ length: 16_000 }, (_, n) => [Number.NaN, Infinity, -Infinity, 1e30][n % 4] ?? 0)
      good.send({ ...old, audio_format: "float32" })
      good.send(audio(float32(nan)))
      for (const piece of pieces(speech(16_000), 16_000)) good.send(audio(float32(piece)))
      good.send({ type: "commit" })
      assert.deepInclude(yield* good.said(({ type }) => type === "full_transcript"), { text: TEXT })
    })
  )

  live(
    "without an engine a session ends with 1011",
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ settings: { apiToken: Redacted.make(KEY) } })
      const client = yield* doors.connect(`${PATH}?token=${KEY}`)
      client.send(old)
      assert.deepInclude(yield* client.closed, { code: 1011 })
      assert.deepInclude(client.messages[0], { type: "error", code: "model_unavailable" })
    })
  )
})
