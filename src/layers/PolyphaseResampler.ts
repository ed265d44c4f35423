/**
 * The Resampler as a polyphase FIR filter with a Kaiser window.
 *
 * With `low` the lower of the two rates: flat within 0.1 dB up to 0.43 × low, at least 80 dB of attenuation from 0.57 × low on. Half of the
 * lower rate lies in the middle of the transition, so what aliases (or is left of an image) after less than 80 dB lands between 0.43 and
 * 0.5 × low, never below. Output sample n is the sound at input time n × from / to, exactly: N samples in give ⌈N × to / from⌉ out, however
 * they are cut into calls.
 */
import { Layer } from "effect"
import { Resampler, type ResamplerStream, type SampleRate } from "../services/Resampler.ts"

/** dB. Above the promised 80, for single precision and the edges of the bands. */
const ATTENUATION = 90
const TRANSITION = 0.14

interface Filter {
  /** Input samples on each side of an output sample that have a part in it. */
  readonly reach: number
  /** Output samples after which the pattern of phases repeats, and the input samples in that time. */
  readonly up: number
  readonly down: number
  /** For each phase 2 × reach coefficients. */
  readonly phases: ReadonlyArray<Float32Array>
}

const filters = new Map<string, Filter>()

const filterFor = (from: SampleRate, to: SampleRate): Filter => {
  const key = `${from}:${to}`
  const known = filters.get(key)
  if (known !== undefined) return known
  const made = design(from, to)
  filters.set(key, made)
  return made
}

/** Four sums side by side: one alone waits for its own last result at every tap. */
const convolve = (taps: Float32Array, samples: Float32Array, from: number): number => {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  for (let k = 0; k < taps.length; k += 4) {
    a += (taps[k] ?? 0) * (samples[from + k] ?? 0)
    b += (taps[k + 1] ?? 0) * (samples[from + k + 1] ?? 0)
    c += (taps[k + 2] ?? 0) * (samples[from + k + 2] ?? 0)
    d += (taps[k + 3] ?? 0) * (samples[from + k + 3] ?? 0)
  }
  return a + b + (c + d)
}

/** Makes one stream; its filter is computed once per pair of rates and shared. */
export const make = (from: SampleRate, to: SampleRate): ResamplerStream => {
  if (from === to) return { process: (input) => input, flush: () => new Float32Array(0), delayMs: 0 }
  const { down, phases, reach, up } = filterFor(from, to)
  // The input around the next output sample; it begins with the silence before the audio.
  let pending = new Float32Array(4 * reach)
  let filled = reach - 1
  /** Where the next output sample lies: `base` in `pending` (start of its window), `phase` / `up` behind it. */
  let base = 0
  let phase = 0

  const append = (input: Float32Array, count: number) => {
    if (filled + count > pending.length) {
      const kept = pending.subarray(base, filled)
      const target = kept.length + count > pending.length ? new Float32Array(2 * (kept.length + count)) : pending
      target.set(kept)
      pending = target
      filled = kept.length
      base = 0
    }
    pending.set(input, filled)
    pending.fill(0, filled + input.length, filled + count)
    filled += count
  }

  /** All output samples whose window has been heard. */
  const produce = (): Float32Array => {
    const windows = filled - 2 * reach - base
    if (windows < 0) return new Float32Array(0)
    const output = new Float32Array(Math.floor(((windows + 1) * up - 1 - phase) / down) + 1)
    // Local, because numbers that closures share are boxed at every change.
    let at = base
    let turn = phase
    for (let n = 0; n < output.length; n++) {
      output[n] = convolve(phases[turn] ?? pending, pending, at)
      for (turn += down; turn >= up; turn -= up) at++
    }
    base = at
    phase = turn
    return output
  }

  return {
    process: (input) => {
      append(input, input.length)
      return produce()
    },
    flush: () => {
      append(new Float32Array(0), reach)
      return produce()
    },
    delayMs: (reach * 1000) / from
  }
}

/** Pure arithmetic, nothing to acquire. */
export const layer = Layer.succeed(Resampler, { make })

const design = (from: SampleRate, to: SampleRate): Filter => {
  const divisor = greatestCommonDivisor(from, to)
  const up = to / divisor
  const low = Math.min(from, to) / from
  // Kaiser's estimate of the length (input samples), and his window's shape for this attenuation.
  // Even, so that there are four taps for each of the four sums.
  const reach = 2 * Math.ceil((ATTENUATION - 7.95) / (14.36 * TRANSITION * low) / 4 + 0.5)
  const beta = 0.1102 * (ATTENUATION - 8.7)
  const phases = Array.from({ length: up }, (_, phase) => {
    const taps = Float64Array.from({ length: 2 * reach }, (_, k) => {
      const distance = k - (reach - 1) - phase / up
      return sinc(low * distance) * kaiser(distance / reach, beta)
    })
    // Each phase passes a constant as it is, else the phases would modulate it.
    const sum = taps.reduce((total, tap) => total + tap, 0)
    return Float32Array.from(taps, (tap) => tap / sum)
  })
  return { reach, up, down: from / divisor, phases }
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

const kaiser = (x: number, beta: number): number =>
  Math.abs(x) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta)

/** Modified Bessel function of the first kind, order 0. */
const bessel = (x: number): number => {
  let sum = 1
  let term = 1
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b))
