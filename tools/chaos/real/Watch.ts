/**
 * Watch: what the service's process holds, every ten seconds, and whether that grows.
 */
import { Effect } from "effect"
import type { Sample, Subject } from "./Subject.ts"

const EVERY = "10 seconds"
/** A collection of all garbage holds the service up for tens of milliseconds: once a minute. */
const HEAP_EVERY = 6

/** Samples for as long as it runs; what cannot be read, while the service is away, is left out. */
export const follow = (service: Subject, samples: Array<Sample>): Effect.Effect<never> =>
  Effect.suspend(() => service.sample(samples.length % HEAP_EVERY === 0)).pipe(
    Effect.match({ onFailure: () => undefined, onSuccess: (sample) => void samples.push(sample) }),
    Effect.andThen(Effect.sleep(EVERY)),
    Effect.forever
  )

export interface Trend {
  readonly what: string
  readonly start: number
  readonly middle: number
  readonly end: number
  /** Per hour, by least squares over all samples. */
  readonly slope: number
}

/** Fewer say nothing about growth. */
const LEAST = 3
/** What a process takes while it warms up is no trend, ms. */
const WARM_UP_MS = 120_000

/** Of the process that lived longest, without its first two minutes where it lived longer than six. */
export const trends = (
  samples: ReadonlyArray<Sample>
): { readonly minutes: number; readonly all: ReadonlyArray<Trend> } => {
  const byPid = new Map<number, Array<Sample>>()
  for (const sample of samples) byPid.set(sample.pid, [...(byPid.get(sample.pid) ?? []), sample])
  const [longest = []] = [...byPid.values()].sort((a, b) => b.length - a.length)
  const [first, last] = [longest[0]?.atMs ?? 0, longest.at(-1)?.atMs ?? 0]
  const lived = last - first
  const counted = lived > 3 * WARM_UP_MS ? longest.filter(({ atMs }) => atMs >= first + WARM_UP_MS) : longest
  const of = (what: string, value: (sample: Sample) => number | undefined): ReadonlyArray<Trend> => {
    const points = counted.flatMap((sample) => {
      const y = value(sample)
      return y === undefined ? [] : [{ x: (sample.atMs - first) / 3_600_000, y }]
    })
    if (points.length < LEAST) return []
    const at = (share: number) => points[Math.round((points.length - 1) * share)]?.y ?? 0
    return [{ what, start: at(0), middle: at(0.5), end: at(1), slope: slopeOf(points) }]
  }
  return {
    minutes: lived / 60_000,
    all: [
      ...of("memory (RSS), MB", ({ rssMb }) => rssMb),
      ...of("heap after collection, MB", ({ heapMb }) => heapMb),
      ...of("descriptors", ({ descriptors }) => descriptors),
      ...of("sockets", ({ sockets }) => sockets)
    ]
  }
}

const slopeOf = (points: ReadonlyArray<{ readonly x: number; readonly y: number }>): number => {
  const mean = (of: (point: { readonly x: number; readonly y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const spread = mean((point) => (point.x - x) ** 2)
  return spread === 0 ? 0 : mean((point) => (point.x - x) * (point.y - y)) / spread
}
