import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CallScene from "../support/CallScene.ts"
import * as Fleets from "../support/Fleets.ts"
import { until } from "../support/Until.ts"

describe("RunnerFleet", () => {
  it.live("shows each runner the others, and who of them has ended; one leads", () =>
    Effect.gen(function* () {
      const file = yield* Fleets.sharedFile
      const { processOf, tell } = yield* Fleets.supervisor
      const processes = [0, 1, 2].map(processOf)
      const [a, b, c] = yield* Effect.forEach(processes, (process) => Fleets.fleet(file, process), {
        concurrency: "unbounded"
      })
      assert(a !== undefined && b !== undefined && c !== undefined)
      const all = [a, b, c]
      yield* Effect.forEach(all, ({ join }) => join, { concurrency: "unbounded" })
      yield* until(() => all.every(({ fleet }) => fleet.peers().length === 2))
      yield* until(() => all.filter(({ fleet }) => fleet.isLeading()).length === 1)
      for (const one of all) {
        for (const other of all) assert.isFalse(yield* one.fleet.hasEnded(other.fleet.me))
      }
      assert.isTrue(yield* a.fleet.hasEnded({ ...b.fleet.me, incarnation: c.fleet.me.incarnation }))

      yield* tell(c.fleet.me.incarnation)
      yield* until(() => a.fleet.peers().length === 1)
      assert.isTrue(yield* a.fleet.hasEnded(c.fleet.me))

      yield* b.end
      yield* CallScene.until(() => a.fleet.hasEnded(b.fleet.me))
      yield* CallScene.until(() => a.fleet.isGivenUp(b.fleet.me))
    })
  )
})
