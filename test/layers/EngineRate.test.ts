import { assert, describe, it } from "@effect/vitest"
import { type AudioFrame, FRAME_SAMPLES, SAMPLE_RATE } from "../../src/domain/Audio.ts"
import * as EngineRate from "../../src/layers/EngineRate.ts"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"

const FRAMES = 10
const hz = 440
const sine = (rate: number, n: number) => Math.sin((2 * Math.PI * hz * n) / rate)
const stretch = (start: number): ReadonlyArray<AudioFrame> =>
  Array.from({ length: FRAMES }, (_, i) => ({
    position: start + i * FRAME_SAMPLES,
    pcm: Float32Array.from({ length: FRAME_SAMPLES }, (_, n) => sine(SAMPLE_RATE, i * FRAME_SAMPLES + n)),
    heardAtMs: 0,
    endsSpeech: i === FRAMES - 1
  }))
const samplesOf = (frames: ReadonlyArray<AudioFrame>) => frames.flatMap(({ pcm }) => [...pcm])

describe("an engine at another rate", () => {
  it("hears every stretch of speech complete and in time at its own rate", () => {
    const convert = EngineRate.make({ make: PolyphaseResampler.make }, 16_000)
    for (const start of [0, 100_000]) {
      const heard = samplesOf(stretch(start).map(convert))
      assert.strictEqual(heard.length, (FRAMES * FRAME_SAMPLES * 16_000) / SAMPLE_RATE)
      // Away from the edges, where the filter sees silence.
      for (let n = 400; n < heard.length - 400; n++) assert.closeTo(heard[n] ?? 0, sine(16_000, n), 0.02)
    }
  })

  it("at hearing's own rate takes frames as they are", () => {
    const convert = EngineRate.make({ make: PolyphaseResampler.make }, 24_000)
    for (const frame of stretch(0)) assert.strictEqual(convert(frame), frame)
  })

  it("is told the positions and ends of the voice", () => {
    const convert = EngineRate.make({ make: PolyphaseResampler.make }, 16_000)
    const told = stretch(4_800).map(convert)
    assert.deepStrictEqual(
      told.map(({ endsSpeech, position }) => [position, endsSpeech]),
      stretch(4_800).map(({ endsSpeech, position }) => [position, endsSpeech])
    )
  })
})
