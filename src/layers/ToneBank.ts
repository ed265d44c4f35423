/**
 * Energies of a fixed set of tones in blocks of 10 ms (Goertzel's algorithm).
 */

export interface ToneBank {
  readonly blockSamples: number
  /** How many tones are measured, rounded up to a multiple of four. */
  readonly tones: number
  /** Writes the energy of each tone in the block, on the scale of the sum of squared samples. */
  readonly measure: (block: Float32Array, energies: Float64Array) => void
}

export const blockMs = 10

/** Measures `tonesHz` in blocks of audio at `sampleRate` Hz. */
export const make = (sampleRate: number, tonesHz: ReadonlyArray<number>): ToneBank => {
  const blockSamples = Math.round((sampleRate * blockMs) / 1000)
  const tones = Math.ceil(tonesHz.length / 4) * 4
  const coefficients = Float64Array.from(
    { length: tones },
    (_, i) => 2 * Math.cos((2 * Math.PI * (tonesHz[i] ?? 0)) / sampleRate)
  )
  return {
    blockSamples,
    tones,
    measure: (block, energies) => {
      for (let k = 0; k < tones; k += 4) measureFour(block, coefficients, energies, k)
    }
  }
}

/** Four recurrences side by side: one alone waits for its own last result at every sample. */
const measureFour = (block: Float32Array, coefficients: Float64Array, energies: Float64Array, k: number) => {
  const ca = coefficients[k] ?? 0
  const cb = coefficients[k + 1] ?? 0
  const cc = coefficients[k + 2] ?? 0
  const cd = coefficients[k + 3] ?? 0
  let a1 = 0
  let a2 = 0
  let b1 = 0
  let b2 = 0
  let c1 = 0
  let c2 = 0
  let d1 = 0
  let d2 = 0
  for (let i = 0; i < block.length; i++) {
    const sample = block[i] ?? 0
    const a = sample + ca * a1 - a2
    a2 = a1
    a1 = a
    const b = sample + cb * b1 - b2
    b2 = b1
    b1 = b
    const c = sample + cc * c1 - c2
    c2 = c1
    c1 = c
    const d = sample + cd * d1 - d2
    d2 = d1
    d1 = d
  }
  const scale = 2 / block.length
  energies[k] = scale * (a1 * a1 + a2 * a2 - ca * a1 * a2)
  energies[k + 1] = scale * (b1 * b1 + b2 * b2 - cb * b1 * b2)
  energies[k + 2] = scale * (c1 * c1 + c2 * c2 - cc * c1 * c2)
  energies[k + 3] = scale * (d1 * d1 + d2 * d2 - cd * d1 * d2)
}
