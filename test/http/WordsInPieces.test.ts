/** OpenAI tells words in pieces; the clients of Kyutai's servers take whatever they are told for a word. */

import { assert, describe, it } from "@effect/vitest"
import { decode, encode } from "@msgpack/msgpack"
import { Effect, Layer, Redacted } from "effect"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as OpenAiSimulator from "../../src/layers/OpenAiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import type { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as DoorSetup from "../support/DoorSetup.ts"

const engine: Layer.Layer<SpeechEngine> = Layer.unwrap(
  Effect.map(OpenAiSimulator.make(), ({ url }) =>
    OpenAiEngine.layer({ url, apiKey: Redacted.make(OpenAiSimulator.KEY), model: "gpt-live-transcribe" })
  )
).pipe(Layer.orDie)

const words = [101, 202, 303, 404]
const { pcm } = ToneModem.speak(words, { speaker: 1, sampleRate: 24_000 })
/** With a pause behind it. */
const speech = Float32Array.of(...pcm, ...new Float32Array(24_000))

describe("words that an engine tells in pieces", () => {
  it.live("are whole for clients of Kyutai on Modal", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine })
      const client = yield* doors.connect("/v1/stream")
      client.send(new Uint8Array(speech.buffer))
      yield* client.said(({ type }) => type === "vad_end")
      assert.deepStrictEqual(
        client.messages.filter(({ type }) => type === "token").map(({ text }) => String(text).trim()),
        words.map(wordText)
      )
    })
  )

  it.live("are whole for clients of moshi-server", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine })
      const client = yield* doors.connect("/api/asr-streaming")
      const audio = encode({ type: "Audio", pcm: [...speech] })
      client.send(audio)
      const heard = () =>
        client.messages.flatMap(({ bytes }) => {
          const message = bytes instanceof Uint8Array ? decode(bytes) : undefined
          return isWord(message) ? [message.text] : []
        })
      yield* client.said(() => heard().length >= words.length)
      assert.deepStrictEqual(heard(), words.map(wordText))
    })
  )
})

const isWord = (message: unknown): message is { readonly text: string } =>
  typeof message === "object" && message !== null && "type" in message && message.type === "Word" && "text" in message
