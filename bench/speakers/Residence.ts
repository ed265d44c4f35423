/**
 * Resident memory over time: whether it stays where it is.
 */
import { Effect } from "effect"

export interface Residence {
  /** When it was looked at, in minutes of the measured time, and what it was. */
  readonly atMinutes: ReadonlyArray<number>
  readonly rssMb: ReadonlyArray<number>
  /** Of the straight line through the second half of them; absent where the run is too short to tell. */
  readonly mbPerHour?: number
}

const EVERY_S = 60
/** Of three points in the second half a line says something. */
const LEAST = 3

/** Looks at the beginning, every minute, and at the end of so many seconds. */
export const during = Effect.fnUntraced(function* (seconds: number, residentMb: () => number) {
  const beganMs = performance.now()
  const atMinutes: Array<number> = []
  const rssMb: Array<number> = []
  const note = () => {
    atMinutes.push((performance.now() - beganMs) / 60_000)
    rssMb.push(residentMb())
  }
  note()
  for (let left = seconds; left > 0; left -= EVERY_S) {
    yield* Effect.sleep(Math.min(left, EVERY_S) * 1000)
    note()
  }
  return of(atMinutes, rssMb)
})

export const of = (atMinutes: ReadonlyArray<number>, rssMb: ReadonlyArray<number>): Residence => {
  const from = Math.floor(atMinutes.length / 2)
  const [times, sizes] = [atMinutes.slice(from), rssMb.slice(from)]
  const residence = { atMinutes, rssMb }
  return times.length < LEAST ? residence : { ...residence, mbPerHour: 60 * slopeOf(times, sizes) }
}

/** Least squares. */
const slopeOf = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>): number => {
  const mean = (values: ReadonlyArray<number>) => values.reduce((all, one) => all + one, 0) / values.length
  const [middleX, middleY] = [mean(xs), mean(ys)]
  const products = mean(xs.map((x, n) => (x - middleX) * ((ys[n] ?? 0) - middleY)))
  return products / mean(xs.map((x) => (x - middleX) ** 2))
}
