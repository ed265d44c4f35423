import { assert, describe, it } from "@effect/vitest"
import { vosk } from "../../src/http/VoskDialect.ts"
import { begin, segment } from "../support/DialectScene.ts"

const audio = new Uint8Array(800)
const raw = (sampleRate: number) => ({ _tag: "Raw", encoding: "pcm16", sampleRate, channels: 1 })

describe("the dialect of Vosk servers", () => {
  it("answers every message of audio with exactly one message, finals before partials", () => {
    const client = begin(vosk)
    assert.deepStrictEqual(client.says('{ "config" : { "sample_rate" : 16000 } }'), [
      { Start: { format: raw(16_000) } }
    ])
    client.tells({ _tag: "Ready", engine: "e", model: "m", language: "en" })
    assert.deepStrictEqual(client.says(audio), ["Audio 800", { partial: "" }])
    assert.deepStrictEqual(client.tells(segment("good", { open: "mor" })), [])
    assert.deepStrictEqual(client.says(audio), ["Audio 800", { partial: "good mor" }])
    client.tells(segment("good morning", { final: true }))
    client.tells(segment("so", { final: true, id: "s:1" }))
    client.tells(segment("", { open: "then", id: "s:2" }))
    assert.deepStrictEqual(client.says(audio), ["Audio 800", { text: "good morning" }])
    assert.deepStrictEqual(client.says(audio), ["Audio 800", { text: "so" }])
    assert.deepStrictEqual(client.says(audio), ["Audio 800", { partial: "then" }])
  })

  it("answers a configuration only where a language was asked for, and when it is known which it is", () => {
    const client = begin(vosk)
    const config = { config: { sample_rate: 48_000, language: "fr" } }
    assert.deepStrictEqual(client.says(config), [{ Start: { format: raw(48_000), language: "fr" } }])
    // Nextcloud's app waits for the answer, others do not
    assert.deepStrictEqual(client.says(audio), ["Audio 800"])
    assert.deepStrictEqual(client.tells({ _tag: "Ready", engine: "e", model: "m", language: "fr-FR" }), [
      { success: true },
      { partial: "" }
    ])
    const other = begin(vosk)
    other.says({ config: { language: "tr" } })
    assert.deepStrictEqual(other.tells({ _tag: "Ready", engine: "e", model: "m", language: "en" }), [
      { success: false }
    ])
  })

  it("ends an utterance on reset and the connection on eof, with everything that was not told", () => {
    const client = begin(vosk)
    client.says(audio)
    client.tells(segment("one two", { open: "thr" }))
    assert.deepStrictEqual(client.says('{"reset" : 1}'), ["Commit"])
    assert.deepStrictEqual(client.says(audio), ["Audio 800"], "answers keep their order")
    client.tells(segment("one two three", { final: true }))
    assert.deepStrictEqual(client.tells({ _tag: "Committed", said: [] }), [{ text: "one two three" }, { partial: "" }])
    assert.deepStrictEqual(client.says('{"eof" : 1}'), ["Finish"])
    client.tells(segment("four", { final: true, id: "s:1" }))
    assert.deepStrictEqual(client.tells({ _tag: "Finished", said: [] }), [{ text: "four" }, "Close 1000"])
  })

  it("the last words are told when the service stops, though no message asks for them", () => {
    const client = begin(vosk)
    client.says(audio)
    client.tells(segment("so long", { final: true }))
    client.tells(segment("and thanks", { final: true, id: "s:1" }))
    const stopping = { _tag: "Failed", failure: "ShuttingDown", detail: "the service is stopping" } as const
    assert.deepStrictEqual(client.tells(stopping), [{ text: "so long and thanks" }, "Close 1001"])
    const quiet = begin(vosk)
    quiet.says(audio)
    assert.deepStrictEqual(quiet.tells(stopping), ["Close 1001"])
  })

  it("takes any other text for the question what was heard", () => {
    const client = begin(vosk)
    client.says(audio)
    client.tells(segment("so", { open: "far" }))
    assert.deepStrictEqual(client.says("what was that?"), [{ partial: "so far" }])
  })

  it("closes on whoever never reads", () => {
    const client = begin(vosk)
    client.says({ config: { language: "en" } })
    let last: ReadonlyArray<unknown> = []
    for (let message = 0; message < 5000; message++) last = client.says(audio)
    assert.deepStrictEqual(last, ["Close 1008"])
  })
})
