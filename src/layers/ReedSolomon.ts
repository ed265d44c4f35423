/**
 * Reed-Solomon codes over GF(16): up to 15 nibbles, of which the last `parity` repair as many erased ones.
 */

export interface ReedSolomon {
  /** The data followed by its parity. */
  readonly encode: (data: ReadonlyArray<number>) => ReadonlyArray<number>
  readonly isCodeword: (nibbles: ReadonlyArray<number>) => boolean
  /** The codeword that agrees with `nibbles` everywhere but at `positions` (at most `parity` of them), if there is one. */
  readonly fillErasures: (
    nibbles: ReadonlyArray<number>,
    positions: ReadonlyArray<number>
  ) => ReadonlyArray<number> | undefined
}

/** x⁴ + x + 1, the usual primitive polynomial. */
const polynomial = 0x13

const exponentials = new Uint8Array(30)
const logarithms = new Uint8Array(16)
for (let power = 0, value = 1; power < 15; power++) {
  exponentials[power] = value
  exponentials[power + 15] = value
  logarithms[value] = power
  value <<= 1
  if (value & 16) value ^= polynomial
}

const exponential = (power: number): number => exponentials[power % 15] ?? 0
const logarithm = (value: number): number => logarithms[value] ?? 0
const multiply = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : exponential(logarithm(a) + logarithm(b)))
const inverse = (a: number): number => exponential(15 - logarithm(a))

/** A code of `length` nibbles with `parity` of them redundant. */
export const make = (length: number, parity: number): ReedSolomon => {
  const generator = generatorOf(parity)

  const encode = (data: ReadonlyArray<number>): ReadonlyArray<number> => {
    const remainder = [...data, ...new Array<number>(parity).fill(0)]
    for (let i = 0; i < data.length; i++) {
      const factor = remainder[i] ?? 0
      for (let j = 1; j <= parity; j++) remainder[i + j] = (remainder[i + j] ?? 0) ^ multiply(generator[j] ?? 0, factor)
    }
    return [...data, ...remainder.slice(data.length)]
  }

  const syndromes = (nibbles: ReadonlyArray<number>): Array<number> =>
    Array.from({ length: parity }, (_, root) =>
      nibbles.reduce((value, nibble) => multiply(value, exponential(root)) ^ nibble, 0)
    )

  return {
    encode,
    isCodeword: (nibbles) => syndromes(nibbles).every((syndrome) => syndrome === 0),
    fillErasures: (nibbles, positions) => {
      const rows = syndromes(nibbles).map((syndrome, root) => [
        ...positions.map((position) => exponential(root * (length - 1 - position))),
        syndrome
      ])
      const corrections = solve(rows, positions.length)
      if (corrections === undefined) return undefined
      const filled = [...nibbles]
      positions.forEach((position, i) => {
        filled[position] = (filled[position] ?? 0) ^ (corrections[i] ?? 0)
      })
      return filled
    }
  }
}

/** Product of (x − αⁱ), highest power first. */
const generatorOf = (parity: number): ReadonlyArray<number> => {
  let generator = [1]
  for (let root = 0; root < parity; root++) {
    const next = new Array<number>(generator.length + 1).fill(0)
    generator.forEach((coefficient, i) => {
      next[i] = (next[i] ?? 0) ^ coefficient
      next[i + 1] = (next[i + 1] ?? 0) ^ multiply(coefficient, exponential(root))
    })
    generator = next
  }
  return generator
}

/** Gaussian elimination; each row is an equation with its right side last. Undefined when the equations contradict each other. */
const solve = (rows: Array<Array<number>>, unknowns: number): ReadonlyArray<number> | undefined => {
  for (let column = 0; column < unknowns; column++) {
    const pivotAt = rows.findIndex((row, i) => i >= column && row[column] !== 0)
    const pivot = rows[pivotAt]
    const displaced = rows[column]
    if (pivot === undefined || displaced === undefined) return undefined
    rows[pivotAt] = displaced
    const scale = inverse(pivot[column] ?? 0)
    const scaled = pivot.map((value) => multiply(value, scale))
    rows.forEach((row, i) => {
      const factor = row[column] ?? 0
      if (i !== column) rows[i] = row.map((value, j) => value ^ multiply(scaled[j] ?? 0, factor))
    })
    rows[column] = scaled
  }
  const contradicts = rows.slice(unknowns).some((row) => row[unknowns] !== 0)
  return contradicts ? undefined : rows.slice(0, unknowns).map((row) => row[unknowns] ?? 0)
}
