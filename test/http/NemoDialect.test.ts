import { assert, describe, it } from "@effect/vitest"
import { nemo } from "../../src/http/NemoDialect.ts"
import { begin, opening, segment } from "../support/DialectScene.ts"

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
const float32 = (samples: number) =>
  new Uint8Array(Float32Array.from({ length: samples }, (_, i) => 0.3 * Math.sin(i / 5)).buffer)
const pcm16 = (samples: number) =>
  new Uint8Array(Int16Array.from({ length: samples }, (_, i) => 9000 * Math.sin(i / 5)).buffer)
const audio = { type: "audio", data: base64(float32(400)) }
const raw = (encoding: string, sampleRate = 16_000) => ({ _tag: "Raw", encoding, sampleRate, channels: 1 })
const old = { type: "config", model: "parakeet", variant: "standard", sample_rate: 16_000, enable_partial: true }
const strict = { type: "config", protocol_version: 1, mode: "captions", audio_format: "pcm16", sample_rate: 16_000 }
const readyEvent = { _tag: "Ready", engine: "scripted", model: "m", language: "en" } as const
const ready = {
  type: "status",
  state: "ready",
  model: "parakeet",
  variant: "standard",
  engine: "scripted",
  language: "en"
}
const result = (text: string, isFinal: boolean, id = 1) => ({
  type: isFinal ? "final" : "partial",
  text,
  timestamp: opening.now() / 1000,
  is_final: isFinal,
  model: "parakeet-standard",
  language: "en",
  segment_id: id,
  segment_start: 1,
  segment_end: 2
})
const full = (text: string, isAutomatic = false) => ({
  type: "full_transcript",
  text,
  timestamp: opening.now() / 1000,
  auto_commit: isAutomatic
})
const said = (...texts: ReadonlyArray<string>) => texts.map((text) => ({ text, startMs: 0, endMs: 1 }))

/** A client that configured and was told `ready`. */
const client = (config: object = old) => {
  const one = begin(nemo)
  one.says(config)
  one.tells(readyEvent)
  return one
}
const beats = (one: ReturnType<typeof begin>, count: number) =>
  Array.from({ length: count }, () => one.tells({ _tag: "Heartbeat", heardMs: 0 })).flat()

describe("the NeMo dialect", () => {
  it("says ready first, with what was asked for and what it is", () => {
    const one = begin(nemo)
    assert.deepStrictEqual(one.tells({ _tag: "Admitted", by: "Request" }), [])
    assert.deepStrictEqual(one.says({ ...old, language: "de" }), [
      { Start: { format: raw("float32"), language: "de" } }
    ])
    assert.deepStrictEqual(one.tells(readyEvent), [ready])
    assert.deepStrictEqual(one.says({ ...old, sample_rate: 48_000 }), [{ Start: { format: raw("float32", 48_000) } }])
    assert.deepStrictEqual(one.tells(readyEvent), [{ ...ready, state: "configured" }])
  })

  it("takes a client that begins with audio, a commit or a reset for one of 2024", () => {
    for (const [message, then] of [
      [audio, "Audio 1600"],
      [{ type: "commit" }, "Commit"],
      [{ type: "reset" }, "Reset"]
    ] as const) {
      assert.deepStrictEqual(begin(nemo).says(message), [{ Start: { format: raw("float32") } }, then])
    }
  })

  it("tells a client of 2024 one result for each message of audio, and nothing in between", () => {
    const one = client()
    assert.deepStrictEqual(one.says(audio), ["Audio 1600"])
    assert.deepStrictEqual(one.tells(segment("", { open: "good" })), [])
    assert.deepStrictEqual(one.tells(segment("good", { open: "mor" })), [])
    assert.deepStrictEqual(one.says(audio), [result("good mor", false), "Audio 1600"])
    assert.deepStrictEqual(one.says(audio), ["Audio 1600"])
    one.tells(segment("Good morning.", { final: true }))
    one.tells(segment("How are you?", { final: true, id: "s:1" }))
    one.tells(segment("", { open: "fine", id: "s:2" }))
    assert.deepStrictEqual(one.says(audio), [result("Good morning. How are you?", true, 2), "Audio 1600"])
    assert.deepStrictEqual(one.says(audio), [result("fine", false, 3), "Audio 1600"])
  })

  it("answers a commit of a client of 2024 with the full transcript and nothing before it", () => {
    const one = client()
    one.says(audio)
    one.tells(segment("", { open: "good" }))
    assert.deepStrictEqual(one.says({ type: "commit" }), ["Commit"])
    assert.deepStrictEqual(one.tells(segment("good", { final: true })), [])
    assert.deepStrictEqual(beats(one, 5), [])
    assert.deepStrictEqual(one.says(audio), ["Audio 1600"])
    assert.deepStrictEqual(one.tells({ _tag: "Committed", said: said("good") }), [full("good")])
    assert.deepStrictEqual(one.says(audio), [result("good", true), "Audio 1600"])
    assert.deepStrictEqual(one.says({ type: "commit" }), ["Commit"])
    assert.deepStrictEqual(one.tells({ _tag: "Committed", said: [] }), [full("")])
  })

  it("tells a client of 2024 everything when no audio came for 2 s", () => {
    const one = client()
    one.says(audio)
    one.tells(segment("Good.", { final: true }))
    one.tells(segment("", { open: "and", id: "s:1" }))
    assert.deepStrictEqual(beats(one, 2), [])
    assert.deepStrictEqual(beats(one, 1), [result("Good.", true), result("and", false, 2)])
    assert.deepStrictEqual(beats(one, 30), [])
  })

  it("tells today's clients at once, finals before the full transcript, and pings every 10 s", () => {
    const one = client(strict)
    assert.deepStrictEqual(one.says({ type: "audio", data: base64(pcm16(400)) }), ["Audio 800"])
    assert.deepStrictEqual(one.tells(segment("", { open: "good" })), [result("good", false)])
    assert.deepStrictEqual(one.says({ type: "commit" }), ["Commit"])
    assert.deepStrictEqual(one.tells(segment("", { open: "good mor" })), [], "no late partials")
    assert.deepStrictEqual(one.tells(segment("good", { final: true })), [result("good", true)])
    assert.deepStrictEqual(one.tells({ _tag: "Committed", said: said("good") }), [full("good")])
    assert.deepStrictEqual(beats(one, 20), [{ type: "ping" }, { type: "ping" }])
  })

  it("leaves partials out where they are not wanted, and empty finals always", () => {
    const one = client({ ...strict, enable_partial: false })
    assert.deepStrictEqual(one.tells(segment("", { open: "good" })), [])
    assert.deepStrictEqual(one.tells(segment("", { final: true })), [])
    assert.deepStrictEqual(one.tells(segment("yes", { final: true, id: "s:1" })), [result("yes", true, 2)])
  })

  it("with enable_vad tells the full transcript at pauses, once each", () => {
    const one = client({ ...strict, enable_vad: true })
    one.tells(segment("one", { final: true }))
    assert.deepStrictEqual(one.tells({ _tag: "Settled", throughMs: 1 }), [full("one", true)])
    assert.deepStrictEqual(one.tells({ _tag: "Settled", throughMs: 2 }), [])
    one.tells(segment("two", { final: true, id: "s:1" }))
    assert.deepStrictEqual(one.tells({ _tag: "Settled", throughMs: 3 }), [full("one two", true)])
    assert.deepStrictEqual(client(strict).tells({ _tag: "Settled", throughMs: 1 }), [])
  })

  it("forgets on reset, also what was not told yet", () => {
    const one = client()
    one.says(audio)
    one.tells(segment("secret", { final: true }))
    assert.deepStrictEqual(one.says({ type: "reset" }), ["Reset"])
    assert.deepStrictEqual(one.tells({ _tag: "WasReset" }), [{ type: "status", state: "reset" }])
    assert.deepStrictEqual(one.says(audio), ["Audio 1600"])
  })

  it("finishes on stop: finals, the full transcript if there is news, done, 1000", () => {
    const one = client()
    one.says(audio)
    one.tells(segment("one", { final: true }))
    assert.deepStrictEqual(one.says({ type: "stop" }), ["Finish"])
    assert.deepStrictEqual(one.says(audio), [])
    one.tells(segment("two", { final: true, id: "s:1" }))
    assert.deepStrictEqual(one.tells({ _tag: "Finished", said: said("one", "two") }), [
      result("one", true),
      result("two", true, 2),
      full("one two"),
      { type: "done" },
      "Close 1000"
    ])
    const other = client()
    other.says({ type: "stop" })
    assert.deepStrictEqual(other.tells({ _tag: "Finished", said: [] }), [{ type: "done" }, "Close 1000"])
  })

  it("takes audio that cannot be float32 for PCM16 and says so, once; silence decides nothing", () => {
    const one = client()
    const silence = { type: "audio", data: base64(new Uint8Array(1600)) }
    assert.deepStrictEqual(one.says(silence), ["Audio 1600"])
    const [start, warning, heard] = one.says({ type: "audio", data: base64(pcm16(800)) })
    assert.deepStrictEqual(start, { Start: { format: raw("pcm16") } })
    assert.deepInclude(warning, { type: "warning", warning_type: "audio_format" })
    assert.strictEqual(heard, "Audio 1600")
    assert.deepStrictEqual(one.tells(readyEvent), [], "nobody is told ready twice")
    assert.deepStrictEqual(one.says({ type: "audio", data: base64(float32(800)) }), ["Audio 3200"])

    for (const amplitude of [3, 300, 32_767]) {
      const bytes = new Uint8Array(Int16Array.from({ length: 8000 }, (_, i) => amplitude * Math.sin(i / 7)).buffer)
      assert.isAbove(client().says({ type: "audio", data: base64(bytes) }).length, 1, `PCM16 as loud as ${amplitude}`)
    }
    for (const amplitude of [1e-6, 0.001, 1, 4]) {
      const bytes = new Uint8Array(Float32Array.from({ length: 8000 }, (_, i) => amplitude * Math.sin(i / 7)).buffer)
      assert.deepStrictEqual(client().says({ type: "audio", data: base64(bytes) }), ["Audio 32000"])
    }
    const told = client({ ...old, audio_format: "float32" })
    assert.deepStrictEqual(told.says({ type: "audio", data: base64(pcm16(800)) }), ["Audio 1600"])
  })

  it("chooses an engine by model, and warns of models that are not there", () => {
    const one = begin(nemo)
    assert.deepStrictEqual(one.says({ ...strict, model: "scripted" }), [
      { Start: { format: raw("pcm16"), engine: "scripted" } }
    ])
    assert.deepStrictEqual(one.tells(readyEvent), [{ ...ready, model: "scripted" }])
    const other = begin(nemo)
    other.says({ ...strict, model: "whisper" })
    const [status, warning] = other.tells(readyEvent)
    assert.deepStrictEqual(status, { ...ready, model: "whisper" })
    assert.deepInclude(warning, {
      type: "warning",
      state: "model_unavailable",
      original_model: "whisper",
      active_model: "m"
    })
  })

  it("answers an authentication only where it came in a message", () => {
    const one = begin(nemo)
    assert.deepStrictEqual(one.says({ type: "auth", token: "key" }), ["Authenticate key"])
    assert.deepStrictEqual(one.tells({ _tag: "Admitted", by: "Message" }), [
      { type: "status", message: "Authenticated" }
    ])
  })

  it("answers what it cannot read with an error; today's clients are closed on, those of 2024 go on", () => {
    for (const [message, code] of [
      ["no json", "bad_request"],
      ["[]", "bad_request"],
      ['{"type":7}', "bad_request"],
      [new Uint8Array(4), "bad_request"],
      [{ type: "auth" }, "bad_request"],
      [{ type: "audio" }, "invalid_audio"],
      [{ type: "audio", data: "" }, "invalid_audio"],
      [{ type: "audio", data: "%%%%" }, "invalid_audio"]
    ] as const) {
      const [error, ...rest] = client().says(message)
      assert.deepInclude(error, { type: "error", code, error_type: code })
      assert.deepStrictEqual(rest, [])
      assert.deepStrictEqual(client(strict).says(message).slice(1), ["Close 4400"])
    }
    assert.deepStrictEqual(
      client(strict)
        .says({ type: "audio", data: base64(new Uint8Array(3)) })
        .slice(1),
      ["Close 4400"]
    )
    for (const wrong of [{ sample_rate: 1 }, { protocol_version: 3 }, { channels: 9 }, { audio_format: "mp3" }]) {
      const [error, close] = begin(nemo).says({ ...old, ...wrong })
      assert.deepInclude(error, { type: "error", code: "invalid_config" })
      assert.strictEqual(close, "Close 4400")
    }
    assert.deepStrictEqual(client(strict).says({ type: "whatever" }), [])
  })

  it("closes with the family's codes, after what was not told yet", () => {
    for (const [denial, code] of [
      ["Unauthorized", 4401],
      ["Forbidden", 4403],
      ["ConcurrentStreams", 4003],
      ["DailyMinutes", 4003],
      ["TooManyStreams", 1013]
    ] as const) {
      const [error, close] = begin(nemo).tells({ _tag: "Denied", denial, detail: "no" })
      assert.deepInclude(error, { type: "error", message: "no" })
      assert.strictEqual(close, `Close ${code}`)
    }
    const quota = begin(nemo).tells({ _tag: "Denied", denial: "DailyMinutes", detail: "no" })[0]
    assert.deepInclude(quota, { error_type: "quota_exceeded", quota: "daily_minutes" })
    for (const [failure, code] of [
      ["NotStarted", 4400],
      ["Unauthenticated", 4401],
      ["BadAudio", 4400],
      ["NoEngine", 1011],
      ["SessionLimit", 1008],
      ["DailyMinutes", 4003],
      ["Internal", 1011],
      ["Idle", 1001],
      ["SlowReader", 1013],
      ["ShuttingDown", 1013]
    ] as const) {
      const one = client()
      one.tells(segment("last", { final: true }))
      const [last, error, close] = one.tells({ _tag: "Failed", failure, detail: "because" })
      assert.deepStrictEqual(last, result("last", true))
      assert.deepInclude(error, { type: "error", message: "because" })
      assert.strictEqual(close, `Close ${code}`)
    }
  })
})
