import { assert, describe, it } from "@effect/vitest"
import { decode, encode } from "@msgpack/msgpack"
import { moshi } from "../../src/http/MoshiDialect.ts"
import { begin, segment } from "../support/DialectScene.ts"

const client = () => {
  const scene = begin(moshi)
  const read = (told: ReadonlyArray<unknown>) => told.map((one) => (one instanceof Uint8Array ? decode(one) : one))
  return {
    says: (message: object) => read(scene.says(encode(message, { forceFloat32: true }))),
    saysRaw: (message: string | Uint8Array) => read(scene.says(message)),
    tells: (...events: Parameters<typeof scene.tells>) => read(scene.tells(...events))
  }
}
const pcm = Array.from({ length: 1920 }, () => 0)

describe("the dialect of moshi-server", () => {
  it("is ready by itself, hears arrays of samples, and tells a step for each 80 ms", () => {
    const { says, tells } = client()
    assert.deepStrictEqual(tells({ _tag: "Admitted", by: "Nothing" }), [
      { Start: { format: { _tag: "Raw", encoding: "float32", sampleRate: 24_000, channels: 1 } } }
    ])
    assert.deepStrictEqual(tells({ _tag: "Ready", engine: "e", model: "m", language: "en" }), [{ type: "Ready" }])
    assert.deepStrictEqual(says({ type: "Audio", pcm: pcm.slice(0, 1000) }), ["Audio 4000"])
    const [audio, step] = says({ type: "Audio", pcm: pcm.slice(0, 1000) })
    assert.strictEqual(audio, "Audio 4000")
    assert.deepInclude(step, { type: "Step", step_idx: 1, buffered_pcm: 80 })
  })

  it("tells words with times that never go back and are never too late, and where the segment ended", () => {
    const { tells } = client()
    const told = [
      segment("Good", { open: "mor" }),
      segment("Good morning"),
      segment("Good morning.", { final: true })
    ].flatMap((event) => tells(event))
    assert.deepStrictEqual(told, [
      { type: "Word", text: "Good", start_time: 1 },
      { type: "EndWord", stop_time: 1 },
      { type: "Word", text: "morning", start_time: 1 },
      { type: "EndWord", stop_time: 1 },
      { type: "Word", text: ".", start_time: 1 },
      { type: "EndWord", stop_time: 2 }
    ])
  })

  it("gives markers back in order, when everything before them was said", () => {
    const { says, tells } = client()
    assert.deepStrictEqual(says({ type: "Marker", id: 7 }), ["Commit"])
    assert.deepStrictEqual(says({ type: "Marker", id: 3 }), ["Commit"])
    assert.deepStrictEqual(tells({ _tag: "Committed", said: [] }), [{ type: "Marker", id: 7 }])
    assert.deepStrictEqual(tells({ _tag: "Committed", said: [] }), [{ type: "Marker", id: 3 }])
  })

  it("shows how long a pause has lasted", () => {
    const { says, tells } = client()
    tells({ _tag: "SpeechStarted", atMs: 0 })
    assert.deepInclude(says({ type: "Audio", pcm }).at(-1), { prs: [0, 0, 0, 0] })
    tells({ _tag: "SpeechStopped", atMs: 80 })
    for (let step = 0; step < 12; step++) says({ type: "Audio", pcm })
    assert.deepInclude(says({ type: "Audio", pcm }).at(-1), { prs: [1, 1, 0.52, 1040 / 3000] })
  })

  it("refuses what is no message, in its own words", () => {
    for (const message of ["text", new Uint8Array([0xc1]), encode({ type: "Audio", pcm: new Uint8Array(8) })]) {
      assert.deepInclude(client().saysRaw(message).at(0), { type: "Error" })
      assert.strictEqual(client().saysRaw(message).at(-1), "Close 1003")
    }
    assert.deepStrictEqual(client().tells({ _tag: "Denied", denial: "TooManyStreams", detail: "full" }), [
      { type: "Error", message: "no free channels" },
      "Close 1013"
    ])
  })
})
