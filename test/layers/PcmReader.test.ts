import { assert, describe, it } from "@effect/vitest"
import type { AudioTrouble } from "../../src/domain/AudioTrouble.ts"
import * as PcmReader from "../../src/layers/PcmReader.ts"
import { sampleRates } from "../../src/services/Resampler.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

/** What is heard of messages. */
const read = (format: PcmReader.PcmFormat, messages: ReadonlyArray<Uint8Array>) => {
  const heard: Array<number> = []
  const troubles: Array<AudioTrouble> = []
  const listener = {
    onSound: (pcm: Float32Array) => {
      for (const sample of pcm) heard.push(sample)
    },
    onSilence: () => undefined,
    onTrouble: (trouble: AudioTrouble) => troubles.push(trouble)
  }
  const reader = PcmReader.make(format, ClientAudio.resampler, listener)
  messages.forEach(reader.read)
  reader.close()
  return { heard, troubles }
}
const format = (encoding: PcmReader.SampleEncoding, channels = 1, sampleRate = 24_000) => ({
  encoding,
  channels,
  sampleRate
})
const floats = (...samples: ReadonlyArray<number>) => Buffer.from(Float32Array.from(samples).buffer)

describe("PcmReader", () => {
  it("reads the extremes of every encoding", () => {
    const pcm16 = Buffer.from(Int16Array.of(-32_768, 0, 1, 32_767).buffer)
    assert.deepStrictEqual(read(format("pcm16"), [pcm16]).heard, [-1, 0, 1 / 32_768, 32_767 / 32_768])
    assert.deepStrictEqual(read(format("float32"), [floats(-1, 0.5, 1)]).heard, [-1, 0.5, 1])
    assert.deepStrictEqual(read(format("pcm8"), [Buffer.from([0, 128, 192])]).heard, [-1, 0, 0.5])
    assert.deepStrictEqual(read(format("pcm24"), [Buffer.from([0, 0, 0x80, 0, 0, 0x40, 0xff, 0xff, 0xff])]).heard, [
      -1,
      0.5,
      -1 / 8_388_608 + 0
    ])
    assert.deepStrictEqual(
      read(format("pcm32"), [Buffer.from(Int32Array.of(-2_147_483_648, 1_073_741_824).buffer)]).heard,
      [-1, 0.5]
    )
    // ITU-T G.711, tables 1 and 2: the largest and smallest values, in 16 bits.
    const law = (encoding: "pcmu" | "pcma", codes: ReadonlyArray<number>) =>
      read(format(encoding), [Buffer.from(codes)]).heard.map((sample) => sample * 32_768 + 0)
    assert.deepStrictEqual(law("pcmu", [0x80, 0x00, 0xff, 0x7f, 0xfe]), [32_124, -32_124, 0, 0, 8])
    assert.deepStrictEqual(law("pcma", [0xaa, 0x2a, 0xd5, 0x55]), [32_256, -32_256, 8, -8])
  })

  it("averages two channels and puts samples together that messages cut", () => {
    const stereo = Buffer.from(Int16Array.of(1000, 3000, -32_768, 32_767, 5, 5).buffer)
    for (const size of [1, 2, 3, 4, 5, 7, 12]) {
      const { heard, troubles } = read(format("pcm16", 2), ClientAudio.cut(stereo, size))
      assert.deepStrictEqual(
        heard.map((sample) => sample * 32_768),
        [2000, -0.5, 5]
      )
      assert.deepStrictEqual(troubles, [])
    }
  })

  it("clips what is too loud, and hears what is no number as silence", () => {
    const { heard, troubles } = read(format("float32"), [
      floats(7, -3e38),
      floats(0.25, Number.NaN, Number.POSITIVE_INFINITY),
      floats(0.5)
    ])
    assert.deepStrictEqual(heard, [1, -1, 0.25, 0, 0, 0.5])
    assert.deepStrictEqual(
      troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
      [{ goesOn: true, reason: "NotANumber" }]
    )
    assert.deepStrictEqual(read(format("float32", 2), [floats(3e38, 3e38)]).heard, [1])
  })

  it("gives exactly as much time as it got, at every rate", () => {
    for (const rate of sampleRates) {
      const { heard } = read(format("pcma", 1, rate), ClientAudio.cut(Buffer.alloc(rate + 1, 0xd5), 1001))
      assert.strictEqual(heard.length, Math.ceil(((rate + 1) * 24_000) / rate))
    }
  })

  it("refuses other rates and channels once, and says which it takes", () => {
    for (const { channels, rate } of [
      { channels: 1, rate: 7999 },
      { channels: 1, rate: 96_000 },
      { channels: 1, rate: Number.NaN },
      { channels: 3, rate: 16_000 },
      { channels: 0, rate: 16_000 }
    ]) {
      const { heard, troubles } = read(format("pcm16", channels, rate), [Buffer.alloc(10), Buffer.alloc(10)])
      assert.deepStrictEqual(heard, [])
      assert.deepStrictEqual(
        troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
        [{ goesOn: false, reason: "Unsupported" }]
      )
      assert.match(troubles[0]?.detail ?? "", /8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 Hz/)
    }
  })
})
