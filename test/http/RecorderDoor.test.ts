/**
 * The recorder's door over a real port: with the simulated Amazon Transcribe and an S3 server we did not write, the whole proof of concept.
 */
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as AwsEngine from "../../src/layers/AwsEngine.ts"
import * as AwsSimulator from "../../src/layers/AwsSimulator.ts"
import * as S3TranscriptStore from "../../src/layers/S3TranscriptStore.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { type SessionTranscript, TranscriptStore, TranscriptStoreError } from "../../src/services/TranscriptStore.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { live } from "../support/Live.ts"
import * as S3Server from "../support/S3Server.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const WORDS = [11, 500, 1500, 2000]
const TEXT = WORDS.map(wordText).join(" ")
const STOP = { type: "control", action: "stop" }

/** The words, half a second of silence before them and a whole one behind. */
const speech = (): Uint8Array => {
  const { pcm } = ToneModem.speak(WORDS, { speaker: 1, sampleRate: 16_000 })
  const sound = new Float32Array(pcm.length + 24_000)
  sound.set(pcm, 8_000)
  return DoorSetup.pcm16(sound)
}
const audio = (bytes: Uint8Array) => ({ type: "audio", payload: Buffer.from(bytes).toString("base64") })
/** In messages of 4,095 bytes: every other sample is cut in two. */
const record = Effect.fnUntraced(function* (client: DoorSetup.DoorClient, { live = false } = {}) {
  const bytes = speech()
  for (let at = 0; at < bytes.length; at += 4_095) {
    client.send(audio(bytes.subarray(at, at + 4_095)))
    yield* Effect.sleep(live ? "128 millis" : "5 millis")
  }
})
const transcripts = (client: DoorSetup.DoorClient, isFinal: boolean) =>
  client.messages.flatMap((message) =>
    message["type"] === "transcript" && message["is_final"] === isFinal ? [String(message["text"])] : []
  )
const finals = (client: DoorSetup.DoorClient) => transcripts(client, true).join(" ").toLowerCase().replaceAll(".", "")

/** Keeps in memory what it is given, or fails. */
const memory = (fails?: string) => {
  const kept: Array<SessionTranscript> = []
  const store: TranscriptStore["Service"] = {
    isConfigured: true,
    save: (transcript) => {
      if (fails !== undefined) return Effect.fail(new TranscriptStoreError({ detail: fails, isKept: true }))
      kept.push(transcript)
      return Effect.succeed(`20241215_14302${kept.length}.txt`)
    }
  }
  return { kept, store }
}

describe.concurrent("the door of the recorder", () => {
  live(
    "Amazon Transcribe hears, an S3 store keeps: partials, finals, the key, the object, the close",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const server = yield* S3Server.make("bucket")
      const amazon = yield* AwsSimulator.make({ punctuation: true })
      const engine = AwsEngine.layer({ region: "us-east-1", endpoint: amazon.url, credentials: amazon.account })
      const store = Context.get(
        yield* Layer.build(
          S3TranscriptStore.layer({
            bucket: "bucket",
            region: "us-east-1",
            endpoint: server.endpoint,
            credentials: S3Server.credentials,
            spool: join(folder, "spool")
          })
        ),
        TranscriptStore
      )
      const doors = yield* DoorSetup.start({ engine: Layer.orDie(engine), store })
      const clients = yield* Effect.all([doors.connect("/ws"), doors.connect("/ws?language=en-GB")])
      yield* Effect.forEach(clients, (client) => record(client, { live: true }), { concurrency: 2 })
      for (const client of clients) client.send(STOP)
      const keys = yield* Effect.forEach(clients, (client) =>
        Effect.gen(function* () {
          const { s3_key: key } = yield* client.said(({ type }) => type === "saved")
          assert.deepStrictEqual(yield* client.closed, { code: 1000, reason: "" })
          assert.strictEqual(finals(client), TEXT)
          assert.isAbove(transcripts(client, false).length, 1)
          assert.strictEqual(client.messages.at(-1)?.["type"], "saved")
          assert.match(String(key), /^\d{8}_\d{6}\w*\.txt$/)
          assert.strictEqual(
            (yield* server.object(String(key))).text,
            transcripts(client, true)
              .map((line) => `${line}\n`)
              .join("")
          )
          return String(key)
        })
      )
      assert.sameMembers([...(yield* server.keys)], keys)
      assert.sameMembers(
        amazon.requests().map(({ languages }) => languages[0]),
        ["en-US", "en-GB"]
      )
      assert.deepStrictEqual(amazon.counters().offences, [])
    })
  )

  live(
    "a client that leaves without a stop is kept all the same",
    Effect.gen(function* () {
      const { kept, store } = memory()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), store })
      const client = yield* doors.connect("/ws")
      yield* record(client)
      client.socket.close()
      yield* until(() => kept.length === 1)
      assert.strictEqual(kept[0]?.lines.join(" "), TEXT)
    })
  )

  live(
    "several stops and audio behind them change nothing",
    Effect.gen(function* () {
      const { kept, store } = memory()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), store })
      const client = yield* doors.connect("/ws")
      yield* record(client)
      for (const message of [STOP, STOP, audio(speech()), STOP]) client.send(message)
      yield* client.said(({ type }) => type === "saved")
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.strictEqual(finals(client), TEXT)
      assert.strictEqual(kept.length, 1)
      assert.strictEqual(client.messages.filter(({ type }) => type === "saved").length, 1)
    })
  )

  live(
    "a transcript that cannot be stored is told as an error, behind the last words",
    Effect.gen(function* () {
      const { store } = memory("the bucket does not exist")
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), store })
      const client = yield* doors.connect("/ws")
      yield* record(client)
      client.send(STOP)
      const { message } = yield* client.said(({ type }) => type === "error")
      assert.strictEqual(message, "the transcript was not saved: the bucket does not exist")
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.strictEqual(finals(client), TEXT)
    })
  )

  live(
    "silence and then a stop: nothing is stored, and the close comes at once",
    Effect.gen(function* () {
      const { kept, store } = memory()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), store })
      const client = yield* doors.connect("/ws")
      client.send(audio(new Uint8Array(32_000)))
      client.send(STOP)
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.deepStrictEqual(client.messages, [])
      assert.deepStrictEqual(kept, [])
    })
  )

  live(
    "where nothing is kept the last words come, and the connection closes",
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const client = yield* doors.connect("/ws")
      yield* record(client)
      client.send(STOP)
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.strictEqual(finals(client), TEXT)
    })
  )

  live(
    "what is not understood is answered, and nothing of it is heard",
    Effect.gen(function* () {
      const { kept, store } = memory()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), store })
      const client = yield* doors.connect("/ws")
      for (const strange of ["hello", { type: "audio", payload: "no base64!" }, new Uint8Array(64), { type: "stop" }])
        client.send(strange)
      yield* record(client)
      client.send(STOP)
      yield* client.said(({ type }) => type === "saved")
      assert.strictEqual(client.messages.filter(({ type }) => type === "error").length, 4)
      assert.strictEqual(kept[0]?.lines.join(" "), TEXT)
    })
  )

  live(
    "without an engine it says so",
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start()
      const client = yield* doors.connect("/ws")
      const { message } = yield* client.said(({ type }) => type === "error")
      assert.strictEqual(message, "no speech engine is configured")
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )
})
