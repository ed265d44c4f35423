import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PacketRest from "../../src/layers/PacketRest.ts"

/** A thread whose steps take as long as is said, and a network that sends evenly. */
const scene = () => {
  let nowMs = 0
  let isHurried = false
  const rests: Array<number> = []
  const { came } = PacketRest.make({
    isHurried: () => isHurried,
    now: () => nowMs,
    rest: (ms) => {
      rests.push(ms)
      nowMs += ms
    }
  })
  return {
    rests,
    hurry: () => {
      isHurried = true
    },
    /** For so long, one packet each `everyMs`; each step of the event loop takes `workMs`, and reads what has come by then. */
    run: Effect.fnUntraced(function* (forMs: number, everyMs: number, workMs = 0.05) {
      let steps = 0
      let readMs = nowMs
      for (const untilMs = nowMs + forMs; nowMs < untilMs; steps++) {
        if (nowMs < readMs + everyMs) nowMs = readMs + everyMs
        for (; readMs + everyMs <= nowMs; readMs += everyMs) came()
        nowMs += workMs
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      return steps
    })
  }
}

describe("PacketRest", () => {
  it.live("lets the packets of a hundred come together, and none of them wait for more than 3 ms", () =>
    Effect.gen(function* () {
      const { rests, run } = scene()
      yield* run(100, 0.2)
      const steps = yield* run(900, 0.2)
      assert.isBelow(steps, 900 / 3 + 10)
      assert.isAtMost(Math.max(...rests), 3)
    })
  )

  it.live("does nothing for three who speak", () =>
    Effect.gen(function* () {
      const { rests, run } = scene()
      yield* run(2000, 20 / 3)
      assert.deepStrictEqual(rests, [])
    })
  )

  it.live("ends when most of them have gone", () =>
    Effect.gen(function* () {
      const { rests, run } = scene()
      yield* run(300, 0.2)
      assert.isAbove(rests.length, 0)
      yield* run(700, 20 / 3)
      const before = rests.length
      yield* run(700, 20 / 3)
      assert.strictEqual(rests.length, before)
    })
  )

  it.live("takes no time of a thread that has enough to do, or of a set-up", () =>
    Effect.gen(function* () {
      const busy = scene()
      yield* busy.run(500, 0.2, 3)
      assert.deepStrictEqual(busy.rests, [])
      const joining = scene()
      joining.hurry()
      yield* joining.run(500, 0.2)
      assert.deepStrictEqual(joining.rests, [])
    })
  )
})
