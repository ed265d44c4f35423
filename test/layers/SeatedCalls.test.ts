import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LanguageId } from "../../src/domain/Language.ts"
import * as CallScene from "../support/CallScene.ts"
import * as SeatedRunners from "../support/SeatedRunners.ts"
import * as Standstill from "../support/Standstill.ts"

const startAll = ({ wishes }: SeatedRunners.Scene, runners: ReadonlyArray<SeatedRunners.Runner>) =>
  Effect.forEach(wishes, (intent, n) => runners[n % runners.length]?.calls.start(intent) ?? Effect.void, {
    concurrency: "unbounded"
  })

/** No runner has twice the calls of another; all of these have some. */
const shared = ({ shares }: SeatedRunners.Scene, runners: number) =>
  CallScene.until(() =>
    Effect.map(Effect.orDie(shares), (all) => {
      const counts = [...all.values()]
      return counts.length === runners && Math.max(...counts) <= 2 * Math.min(...counts)
    })
  )

/** A machine on which one of them begins too late has reasons to move calls. */
const within = <A, E, R>(play: Effect.Effect<A, E, R>) => Standstill.played(Effect.timeout(play, "100 seconds"))

describe("SeatedCalls", () => {
  it.live("spread over the runners, are run once each, and are shown by all", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(20)
      const first = yield* scene.boot
      yield* scene.open
      const runners = [first, ...(yield* Effect.all([scene.boot, scene.boot], { concurrency: "unbounded" }))]
      yield* startAll(scene, runners)
      yield* shared(scene, 3)
      yield* SeatedRunners.captioned(scene, runners, scene.wishes)
      for (const { calls } of runners) assert.strictEqual((yield* calls.list).length, 20)
    }).pipe(within)
  )

  it.live("are spread at once where a runner has just begun", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(8)
      const one = yield* scene.boot
      const other = yield* scene.boot
      yield* scene.open
      yield* startAll(scene, [one])
      yield* SeatedRunners.captioned(scene, [one, other], scene.wishes)
      assert.deepStrictEqual([...(yield* scene.shares).values()], [4, 4])
    }).pipe(within)
  )

  it.live("wait for the runners of their machine that still start, and move to none", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(8)
      const before = yield* scene.boot
      yield* scene.open
      yield* startAll(scene, [before])
      yield* SeatedRunners.captioned(scene, [before], scene.wishes)
      yield* before.end
      const one = yield* scene.bootOf(2)
      yield* CallScene.until(() => Effect.map(one.calls.list, (all) => all.length === 4))
      const other = yield* scene.bootOf(2)
      yield* SeatedRunners.captioned(scene, [one, other], scene.wishes)
      const joins = [one, other].map(({ lines }) => lines.filter((line) => line === "room joined").length)
      assert.isAtLeast(Math.min(...joins), 3)
      // Each room once: no call has moved.
      assert.strictEqual(Math.max(...joins) + Math.min(...joins), 8)
    }).pipe(within)
  )

  it.live("take clicks from every runner", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(6)
      const { boot, talk, wishes } = scene
      const one = yield* boot
      const other = yield* boot
      yield* startAll(scene, [one])
      yield* SeatedRunners.captioned(scene, [one, other], wishes)
      const french = LanguageId.make("fr")
      for (const { room } of wishes) assert.isTrue(yield* other.calls.setLanguage(room, french))
      assert.deepStrictEqual(new Set((yield* one.calls.list).map(({ language }) => language)), new Set([french]))
      const [ended, stopped] = wishes
      assert(ended !== undefined && stopped !== undefined)
      assert.isTrue(yield* other.calls.end(ended.room))
      yield* CallScene.until(() => Effect.map(one.calls.list, (list) => list.length === 5))
      assert.isFalse(yield* one.calls.end(ended.room))
      yield* other.calls.stop(stopped.room, stopped.viewer)
      yield* CallScene.until(() => Effect.map(one.calls.list, (list) => list.length === 4))
      yield* one.calls.endAll
      yield* CallScene.until(() => Effect.map(other.calls.list, (list) => list.length === 0))
      assert.isTrue(wishes.every(({ room }) => talk.servicesIn(room) === 0))
    }).pipe(within)
  )

  it.live("go to the others when their runner ends, and come back when all have ended", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(6)
      const { boot, wishes } = scene
      const one = yield* boot
      const other = yield* boot
      yield* startAll(scene, [one])
      yield* SeatedRunners.captioned(scene, [one, other], wishes)
      yield* scene.open
      yield* shared(scene, 2)
      yield* SeatedRunners.captioned(scene, [one, other], wishes)
      const given = () => one.lines.filter((line) => line.includes("leaving the room to another runner")).length
      const [before, share] = [given(), (yield* scene.shares).get(one.runner.incarnation)]
      yield* one.end
      // Another one was in each room before this one left it.
      assert.strictEqual(given() - before, share)
      yield* SeatedRunners.captioned(scene, [other], wishes)
      yield* other.end
      const next = yield* boot
      yield* SeatedRunners.captioned(scene, [next], wishes)
    }).pipe(within)
  )

  it.live("give a runner that joins its share", () =>
    Effect.gen(function* () {
      const scene = yield* SeatedRunners.make(9)
      const one = yield* scene.boot
      yield* scene.open
      yield* startAll(scene, [one])
      yield* SeatedRunners.captioned(scene, [one], scene.wishes)
      const other = yield* scene.boot
      yield* shared(scene, 2)
      yield* SeatedRunners.captioned(scene, [one, other], scene.wishes)
    }).pipe(within)
  )
})
