import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"
import { Resampler, type SampleRate, sampleRates } from "../../src/services/Resampler.ts"

const pairs = sampleRates.flatMap((from) => sampleRates.filter((to) => to !== from).map((to) => [from, to] as const))
const joined = (parts: ReadonlyArray<Float32Array>) => Float32Array.from(parts.flatMap((part) => [...part]))
const resampled = (from: SampleRate, to: SampleRate, input: Float32Array, chunk = input.length) => {
  const stream = PolyphaseResampler.make(from, to)
  const parts = Array.from({ length: Math.ceil(input.length / chunk) }, (_, n) =>
    stream.process(input.subarray(n * chunk, (n + 1) * chunk)).slice()
  )
  return joined([...parts, stream.flush()])
}
const sine = (rate: number, hz: number, samples: number) =>
  Float32Array.from({ length: samples }, (_, n) => Math.sin((2 * Math.PI * hz * n) / rate))
const db = (ratio: number) => 20 * Math.log10(ratio + 1e-12)
/** The middle of a sound as a sine of this frequency, and what is left without it (both as amplitudes). */
const sineIn = (pcm: Float32Array, rate: number, hz: number) => {
  const [from, until] = [Math.floor(pcm.length / 4), Math.floor((pcm.length * 3) / 4)]
  let [ss, cc, sc, xs, xc] = [0, 0, 0, 0, 0]
  for (let n = from; n < until; n++) {
    const [s, c, x] = [Math.sin((2 * Math.PI * hz * n) / rate), Math.cos((2 * Math.PI * hz * n) / rate), pcm[n] ?? 0]
    ss += s * s
    cc += c * c
    sc += s * c
    xs += x * s
    xc += x * c
  }
  const determinant = ss * cc - sc * sc
  const inPhase = (xs * cc - xc * sc) / determinant
  const quadrature = (xc * ss - xs * sc) / determinant
  let rest = 0
  for (let n = from; n < until; n++) {
    const angle = (2 * Math.PI * hz * n) / rate
    rest += ((pcm[n] ?? 0) - inPhase * Math.sin(angle) - quadrature * Math.cos(angle)) ** 2
  }
  return { inPhase, quadrature, rest: Math.sqrt((2 * rest) / (until - from)) }
}

describe("PolyphaseResampler", () => {
  it("is flat to 0.1 dB up to 0.43 of the lower rate, in its place, and adds nothing above -80 dB", () => {
    for (const [from, to] of pairs) {
      const low = Math.min(from, to)
      for (const part of [0.02, 0.11, 0.2, 0.31, 0.38, 0.43]) {
        const hz = part * low + 1.7
        const { inPhase, quadrature, rest } = sineIn(resampled(from, to, sine(from, hz, from / 5)), to, hz)
        const where = `${from} -> ${to}, ${Math.round(hz)} Hz`
        assert.isBelow(Math.abs(db(Math.hypot(inPhase, quadrature))), 0.1, where)
        // The phase says where the sound is: less than a hundredth of a sample off.
        assert.isBelow(Math.abs(quadrature / inPhase), (2 * Math.PI * hz) / to / 100 + 1e-4, where)
        assert.isBelow(db(rest), -80, where)
      }
    }
  })

  it("lets nothing alias above -80 dB from 0.57 of the lower rate on", () => {
    for (const [from, to] of pairs.filter(([from, to]) => 0.57 * to < from / 2)) {
      const edge = 0.57 * to
      const until = from / 2
      for (let step = 0; step <= 12; step++) {
        const hz = edge + ((until - edge) * step) / 12.5
        const output = resampled(from, to, sine(from, hz, from / 10))
        const middle = output.subarray(output.length / 4, (output.length * 3) / 4)
        const loudest = middle.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
        assert.isBelow(db(loudest), -80, `${from} -> ${to}, ${Math.round(hz)} Hz`)
      }
    }
  })

  it("gives exactly as much audio as it got, however that is cut", () => {
    let state = 1
    const noise = Float32Array.from({ length: 4321 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 31 - 1
    })
    for (const [from, to] of pairs) {
      const whole = resampled(from, to, noise)
      assert.strictEqual(whole.length, Math.ceil((noise.length * to) / from), `${from} -> ${to}`)
      for (const chunk of [1, 7, 480, 1001]) assert.deepStrictEqual(resampled(from, to, noise, chunk), whole)
    }
  })

  it("runs behind by no more than its delay says", () => {
    for (const [from, to] of pairs) {
      const stream = PolyphaseResampler.make(from, to)
      const output = stream.process(new Float32Array(from / 10))
      const missing = (to / 10 - output.length) / to
      assert.isAtMost(Math.abs(missing * 1000 - stream.delayMs), 1000 / Math.min(from, to) + 0.01, `${from} -> ${to}`)
    }
  })

  it.effect("passes equal rates through untouched", () =>
    Resampler.useSync(({ make }) => {
      const stream = make(24_000, 24_000)
      const input = sine(24_000, 440, 100)
      assert.strictEqual(stream.process(input), input)
      assert.strictEqual(stream.flush().length, 0)
      assert.strictEqual(stream.delayMs, 0)
    }).pipe(Effect.provide(PolyphaseResampler.layer))
  )
})
