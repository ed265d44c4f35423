/**
 * A day: 24 simulated hours in which people speak and engines fail in every way, and nothing is held that was not held before.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Day from "../../tools/chaos/deterministic/Day.ts"

/** ms; it takes 25 s alone. */
const PATIENCE = 600_000
const SEED = 1
/** By then every part of the code has run and every ring is full. */
const WARM = 4
/** Bytes: what compiled code and a test runner's own books scatter by. */
const SCATTER = 4_000_000

const most = (hours: ReadonlyArray<Day.Hour>, what: "fibers" | "handles"): number =>
  Math.max(...hours.map((hour) => hour[what]))
/** What is free is not always given back before it is looked: the least of some hours is what is really held. */
const least = (hours: ReadonlyArray<Day.Hour>, what: "heap" | "buffers"): number =>
  Math.min(...hours.map((hour) => hour[what]))

describe("24 hours under faults", () => {
  it.live(
    "hold no more at the end than in the morning, and lose no word",
    () =>
      Effect.gen(function* () {
        const hours = yield* Day.live(SEED)
        assert.strictEqual(hours.length, 24)
        assert.deepStrictEqual(
          hours.flatMap(({ complaints, hour }) => complaints.map((what) => `hour ${hour}: ${what}`)),
          [],
          `seed ${SEED}`
        )
        const morning = hours.slice(WARM - 1, WARM + 4)
        const evening = hours.slice(-5)
        assert.isAbove(Math.max(...hours.map(({ words }) => words)), 5_000)
        assert.isAbove(
          hours.reduce((sum, { faults }) => sum + faults, 0),
          200
        )
        for (const { hour, sessions } of hours) assert.strictEqual(sessions, 0, `sessions in silence, hour ${hour}`)
        assert.isAtMost(most(evening, "fibers"), most(morning, "fibers"))
        assert.isAtMost(most(evening, "handles"), most(morning, "handles") + 2)
        assert.isAtMost(least(evening, "heap"), least(morning, "heap") + SCATTER)
        assert.isAtMost(least(evening, "buffers"), least(morning, "buffers") + SCATTER)
      }),
    PATIENCE
  )
})
