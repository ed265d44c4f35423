import { assert, describe, it } from "@effect/vitest"
import { recorder } from "../../src/http/RecorderDialect.ts"
import { begin, opening, segment } from "../support/DialectScene.ts"

const STOP = { type: "control", action: "stop" }
const audio = (payload: string) => ({ type: "audio", payload })
const transcript = (text: string, isFinal: boolean) => ({ type: "transcript", text, is_final: isFinal })
const format = { _tag: "Raw", encoding: "pcm16", sampleRate: 16_000, channels: 1 }
const said = [{ text: "so", startMs: 0, endMs: 1 }]

const started = () => {
  const client = begin(recorder)
  client.tells({ _tag: "Admitted", by: "Nothing" })
  client.tells({ _tag: "Ready", engine: "e", model: "m", language: "en" })
  return client
}

describe("the dialect of a recorder", () => {
  it("begins by itself, in the deployment's language or the one of the address", () => {
    assert.deepStrictEqual(begin(recorder).tells({ _tag: "Admitted", by: "Nothing" }), [{ Start: { format } }])
    const conversation = recorder.converse({ ...opening, query: new URLSearchParams("language=de") })
    assert.deepStrictEqual(conversation.tell({ _tag: "Admitted", by: "Request" }), [
      { _tag: "Start", options: { format: { ...format, _tag: "Raw", encoding: "pcm16", channels: 1 }, language: "de" } }
    ])
  })

  it("takes audio in base64, padded or not, of any length", () => {
    const client = started()
    assert.deepStrictEqual(client.says(audio("AAAA")), ["Audio 3"])
    assert.deepStrictEqual(client.says(audio("AAAAAA==")), ["Audio 4"])
    assert.deepStrictEqual(client.says(audio("AAAAAA")), ["Audio 4"])
    assert.deepStrictEqual(client.says(audio("")), [])
  })

  it("tells the open line whole, each time it changes, and its end once", () => {
    const client = started()
    assert.deepStrictEqual(client.tells(segment("", { open: "good" })), [transcript("good", false)])
    assert.deepStrictEqual(client.tells(segment("", { open: "good" })), [])
    assert.deepStrictEqual(client.tells(segment("good", { open: "mourning" })), [transcript("good mourning", false)])
    assert.deepStrictEqual(client.tells(segment("good morning", { final: true })), [transcript("good morning", true)])
    assert.deepStrictEqual(client.tells(segment("", { final: true, id: "s:1" })), [])
    client.tells(segment("", { open: "um", id: "s:2" }))
    assert.deepStrictEqual(client.tells(segment("", { final: true, id: "s:2" })), [transcript("", true)])
  })

  it("after a stop the last words, then the key, then the close; what comes behind a stop is ignored", () => {
    const client = started()
    assert.deepStrictEqual(client.says(STOP), ["Finish", "Save"])
    for (const ignored of [STOP, audio("AAAA"), "{", new Uint8Array(4)])
      assert.deepStrictEqual(client.says(ignored), [])
    assert.deepStrictEqual(client.tells(segment("so", { final: true })), [transcript("so", true)])
    assert.deepStrictEqual(client.tells({ _tag: "Finished", said }), [])
    assert.deepStrictEqual(client.tells({ _tag: "Saved", key: "20241215_143022.txt" }), [
      { type: "saved", s3_key: "20241215_143022.txt" },
      "Close 1000"
    ])
  })

  it("closes at once where nothing was said, and says what went wrong where it was not saved", () => {
    assert.deepStrictEqual(started().tells({ _tag: "Finished", said: [] }), ["Close 1000"])
    assert.deepStrictEqual(started().tells({ _tag: "NotSaved", detail: "no bucket" }), [
      { type: "error", message: "the transcript was not saved: no bucket" },
      "Close 1000"
    ])
  })

  it("answers what it does not understand with an error and goes on", () => {
    const client = started()
    for (const strange of [
      "",
      "{",
      "[]",
      "null",
      {},
      { type: "audio" },
      { type: "audio", payload: 7 },
      { type: "control", action: "go" },
      { type: "video", payload: "AAAA" },
      new Uint8Array(4)
    ]) {
      const [answer, ...others] = client.says(strange)
      assert.deepInclude(answer, { type: "error" })
      assert.deepStrictEqual(others, [])
    }
    assert.deepStrictEqual(client.says(audio("not base64!")), [{ type: "error", message: "the payload is not base64" }])
    assert.deepStrictEqual(client.says(audio("AAAA")), ["Audio 3"])
  })

  it("keeps what was said when the session fails or the client leaves, unless it never began", () => {
    const failed = { _tag: "Failed", failure: "Idle", detail: "nothing came" } as const
    const error = { type: "error", message: "nothing came" }
    assert.deepStrictEqual(started().tells(failed), ["Finish", "Save", error, "Close 1001"])
    assert.deepStrictEqual(begin(recorder).tells(failed), [error, "Close 1001"])
    const conversation = recorder.converse(opening)
    assert.deepStrictEqual(conversation.hungUp?.(), [])
    conversation.tell({ _tag: "Ready", engine: "e", model: "m", language: "en" })
    assert.deepStrictEqual(conversation.hungUp?.(), [{ _tag: "Finish" }, { _tag: "Save" }])
  })

  it("says why somebody is not let in", () => {
    assert.deepStrictEqual(begin(recorder).tells({ _tag: "Denied", denial: "Unauthorized", detail: "a token" }), [
      { type: "error", message: "a token" },
      "Close 1008"
    ])
  })
})
