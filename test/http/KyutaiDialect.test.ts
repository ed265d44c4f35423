import { assert, describe, it } from "@effect/vitest"
import { kyutai } from "../../src/http/KyutaiDialect.ts"
import { begin, segment } from "../support/DialectScene.ts"

describe("the dialect of Kyutai on Modal", () => {
  it("begins by itself, at 24 kHz float32", () => {
    assert.deepStrictEqual(begin(kyutai).tells({ _tag: "Admitted", by: "Nothing" }), [
      { Start: { format: { _tag: "Raw", encoding: "float32", sampleRate: 24_000, channels: 1 } } }
    ])
  })

  it("tells every word once, with the space before it, and the end of the utterance", () => {
    const client = begin(kyutai)
    const told = [
      segment("", { open: "Good" }),
      segment("Good"),
      segment("Good morning", { open: "every" }),
      segment("Good morning everybody.", { final: true }),
      segment("So", { id: "s:1" }),
      segment("So.", { id: "s:1", final: true })
    ].flatMap((event) => client.tells(event))
    assert.deepStrictEqual(told, [
      { type: "token", text: " Good" },
      { type: "token", text: " morning" },
      { type: "token", text: " everybody." },
      { type: "vad_end" },
      { type: "token", text: " So" },
      { type: "token", text: "." },
      { type: "vad_end" }
    ])
  })

  it("pings, and takes an empty message for one", () => {
    const client = begin(kyutai)
    assert.deepStrictEqual(client.tells({ _tag: "Heartbeat", heardMs: 0 }), [{ type: "ping" }])
    assert.deepStrictEqual(client.says(new Uint8Array(0)), [])
    assert.deepStrictEqual(client.says(new Uint8Array(7680)), ["Audio 7680"])
  })

  it("says what is wrong before it closes", () => {
    const client = begin(kyutai)
    assert.deepStrictEqual(client.says("EOS").at(-1), "Close 1003")
    assert.deepStrictEqual(client.tells({ _tag: "Failed", failure: "NoEngine", detail: "no engine answers" }), [
      { type: "error", message: "no engine answers" },
      "Close 1011"
    ])
  })
})
