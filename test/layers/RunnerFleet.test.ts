import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Redacted } from "effect"
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

  it.live.each([
    { name: "who comes with the others", concurrency: "unbounded" as const },
    { name: "who comes last", concurrency: 1 }
  ])("does not talk to who has another secret, and says once what is wrong: $name", ({ concurrency }) => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const file = yield* Fleets.sharedFile
      const { processOf } = yield* Fleets.supervisor
      const [a, b] = [yield* Fleets.fleet(file, processOf(0)), yield* Fleets.fleet(file, processOf(1))]
      const stranger = yield* Fleets.fleet(file, processOf(2), {}, Redacted.make("of-another-installation"))
      yield* Effect.forEach([a, b, stranger], ({ join }) => join, { concurrency })
      yield* until(() => a.fleet.peers().length === 1 && b.fleet.peers().length === 1)
      const said = () => lines.filter((line) => line.includes(stranger.fleet.me.address))
      // By a and by b.
      yield* until(() => said().length >= 2)
      // They try again all the time.
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(
        a.fleet.peers().map(({ address }) => address),
        [b.fleet.me.address]
      )
      assert.deepStrictEqual(stranger.fleet.peers(), [])
      assert.strictEqual(said().length, 2)
      for (const line of said()) assert.include(line, "LT_INTERNAL_SECRET")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
  })

  it.live("is known to the others as soon as it has joined", () =>
    Effect.gen(function* () {
      const file = yield* Fleets.sharedFile
      const { processOf } = yield* Fleets.supervisor
      const one = yield* Fleets.fleet(file, processOf(0))
      const other = yield* Fleets.fleet(file, processOf(1))
      yield* one.join
      yield* other.join
      assert.strictEqual(one.fleet.peers().length, 1)
    })
  )
})
