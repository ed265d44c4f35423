/** The value below which that share of them lies; NaN of none. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Milliseconds. */
export interface Spread {
  readonly p50: number
  readonly p99: number
}

export const spread = (values: ReadonlyArray<number>): Spread => ({
  p50: quantile(values, 0.5),
  p99: quantile(values, 0.99)
})
