import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Intent, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { viewer, wish } from "../support/CallPhases.ts"
import * as CallScene from "../support/CallScene.ts"
import * as SeatedRunners from "../support/SeatedRunners.ts"
import { until } from "../support/Until.ts"

const wishes = (count: number): ReadonlyArray<Intent> =>
  Array.from({ length: count }, (_, n) => ({ ...wish, room: RoomToken.make(`room${n}`) }))

/** In how many runners a room is. */
const counts = (runners: ReadonlyArray<SeatedRunners.Runner>, all: ReadonlyArray<Intent>) =>
  all.map(({ room }) => runners.reduce((sum, { phases }) => sum + phases.present(room), 0))

describe("SeatedCalls", () => {
  it.live("spread over the runners, are run once each, and are shown by all", () =>
    Effect.gen(function* () {
      const { boot } = yield* SeatedRunners.make
      const first = yield* boot
      const runners = [first, ...(yield* Effect.all([boot, boot], { concurrency: "unbounded" }))]
      const all = wishes(20)
      yield* Effect.forEach(all, (intent, n) => runners[n % 3]?.calls.start(intent) ?? Effect.void, {
        concurrency: "unbounded"
      })
      yield* SeatedRunners.captioned(runners, all)
      const rooms = all.map(({ room }) => room)
      // Whoever had just begun did not know the others yet: what that cost is made good.
      yield* until(() => {
        const shares = runners.map((runner) => SeatedRunners.inside(runner, rooms).length)
        return Math.max(...shares) <= 2 * Math.min(...shares)
      })
      yield* CallScene.until(() => Effect.sync(() => counts(runners, all).every((count) => count === 1)))
      for (const { calls } of runners) assert.strictEqual((yield* calls.list).length, 20)
    })
  )

  it.live("take clicks from every runner", () =>
    Effect.gen(function* () {
      const { boot } = yield* SeatedRunners.make
      const one = yield* boot
      const other = yield* boot
      const all = wishes(6)
      yield* Effect.forEach(all, (intent) => one.calls.start(intent))
      yield* SeatedRunners.captioned([one, other], all)
      const french = LanguageId.make("fr")
      for (const { room } of all) assert.isTrue(yield* other.calls.setLanguage(room, french))
      assert.deepStrictEqual(new Set((yield* one.calls.list).map(({ language }) => language)), new Set([french]))
      const [ended, stopped, ...rest] = all
      assert(ended !== undefined && stopped !== undefined)
      assert.isTrue(yield* other.calls.end(ended.room))
      yield* CallScene.until(() => Effect.map(one.calls.list, (list) => list.length === 5))
      assert.isFalse(yield* one.calls.end(ended.room))
      yield* other.calls.stop(stopped.room, viewer)
      yield* CallScene.until(() => Effect.map(one.calls.list, (list) => list.length === 4))
      yield* one.calls.endAll
      yield* CallScene.until(() => Effect.map(other.calls.list, (list) => list.length === 0))
      assert.deepStrictEqual(counts([one, other], rest), [0, 0, 0, 0])
    })
  )

  it.live("go to the others when their runner ends, and come back when all have ended", () =>
    Effect.gen(function* () {
      const { boot } = yield* SeatedRunners.make
      const one = yield* boot
      const other = yield* boot
      const all = wishes(6)
      yield* Effect.forEach(all, (intent) => one.calls.start(intent))
      yield* SeatedRunners.captioned([one, other], all)
      yield* one.end
      yield* SeatedRunners.captioned([other], all)
      assert.deepStrictEqual(counts([other], all), [1, 1, 1, 1, 1, 1])
      assert.deepStrictEqual(counts([one], all), [0, 0, 0, 0, 0, 0])
      yield* other.end
      const next = yield* boot
      yield* SeatedRunners.captioned([next], all)
    })
  )

  it.live("give a runner that joins its share", () =>
    Effect.gen(function* () {
      const { boot } = yield* SeatedRunners.make
      const one = yield* boot
      const all = wishes(9)
      yield* Effect.forEach(all, (intent) => one.calls.start(intent))
      yield* SeatedRunners.captioned([one], all)
      const other = yield* boot
      const rooms = all.map(({ room }) => room)
      yield* CallScene.until(() => Effect.sync(() => SeatedRunners.inside(other, rooms).length >= 3))
      yield* CallScene.until(() => Effect.sync(() => counts([one, other], all).every((count) => count === 1)))
      yield* SeatedRunners.captioned([one, other], all)
    })
  )
})
