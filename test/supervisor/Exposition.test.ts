import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import * as Exposition from "../../src/supervisor/Exposition.ts"

/** Two scrapes of one process. */
const scrapes = Effect.gen(function* () {
  const counter = Metric.counter("sessions_total", { description: "Sessions", incremental: true })
  const gauge = Metric.gauge("active", { description: "Open now" })
  const seconds = Metric.histogram("wait_seconds", { description: "Waited", boundaries: [0.1, 1] })
  const seen: Array<string> = []
  for (const n of [1, 2]) {
    yield* Metric.update(Metric.withAttributes(counter, { dialect: 'a "quoted" one' }), n)
    if (n === 2) yield* Metric.update(Metric.withAttributes(counter, { dialect: "b c" }), 5)
    yield* Metric.update(gauge, n)
    yield* Metric.update(seconds, n === 1 ? 0.05 : 3)
    seen.push(yield* PrometheusMetrics.format())
  }
  return seen
})

const texts = Effect.suspend(() => Effect.provideService(scrapes, Metric.MetricRegistry, new Map()))

describe("Exposition", () => {
  it.effect("adds what has the same name and labels, and names each family once", () =>
    Effect.gen(function* () {
      const [one = "", two = ""] = yield* texts
      assert.deepStrictEqual(
        Exposition.merge([one, two]).trimEnd().split("\n").toSorted(),
        [
          "# HELP active Open now",
          "# HELP sessions_total Sessions",
          "# HELP wait_seconds Waited",
          "# TYPE active gauge",
          "# TYPE sessions_total counter",
          "# TYPE wait_seconds histogram",
          "active 3",
          'sessions_total{dialect="a \\"quoted\\" one"} 4',
          'sessions_total{dialect="b c"} 5',
          'wait_seconds_bucket{le="+Inf"} 3',
          'wait_seconds_bucket{le="0.1"} 2',
          'wait_seconds_bucket{le="1"} 2',
          "wait_seconds_count 3",
          "wait_seconds_sum 3.0999999999999996"
        ].toSorted()
      )
    })
  )

  it.effect("is the same text for one process", () =>
    Effect.gen(function* () {
      const [, two = ""] = yield* texts
      assert.strictEqual(Exposition.merge([two]).trimEnd(), two.trimEnd())
    })
  )

  it.effect("keeps of a process that is gone what it has counted", () =>
    Effect.gen(function* () {
      const [one = "", two = ""] = yield* texts
      const left = Exposition.counted(one)
      assert.notInclude(left, "active")
      assert.include(Exposition.merge([left, two]), "wait_seconds_count 3")
      assert.include(Exposition.merge([left, two]), "\nactive 2\n")
    })
  )
})
