import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import type { Caption } from "../../src/domain/Caption.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import type { Seat } from "../../src/domain/Seat.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import type { Runner } from "../../src/layers/RunnerFleet.ts"
import * as SeatedCaptionFeed from "../../src/layers/SeatedCaptionFeed.ts"
import * as Fleets from "../support/Fleets.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"
import { until } from "../support/Until.ts"

const { session } = ScriptedSession.make({ now: () => 0 })
const { room } = session

const final = (segment: number): Caption => ({
  room,
  speaker: ScriptedSession.id("ada"),
  speakerName: "Ada",
  language: defaultLanguage,
  segment: { id: `v:${segment}`, revision: 1, committed: `${segment}`, open: "", tokenAtMs: 0.5, final: "Silence" },
  interrupted: { atMs: 1.5, lengthMs: 2 }
})

/** Two runners; the feeds of their own calls, and the first one's of all calls. `seat` says who has the room. */
const scene = Effect.gen(function* () {
  const file = yield* Fleets.sharedFile
  const { processOf } = yield* Fleets.supervisor
  const hubs = yield* Effect.all([HubCaptionFeed.make, HubCaptionFeed.make])
  const [here, there] = hubs
  const first = yield* Fleets.fleet(file, processOf(0))
  const second = yield* Fleets.fleet(file, processOf(1), {
    Captions: (asked) => Stream.unwrap(there.feed.subscribe(asked.room))
  })
  yield* Effect.all([first.join, second.join], { concurrency: "unbounded" })
  yield* until(() => first.fleet.peers().length === 1)
  let seat: Seat | undefined
  const open = Effect.fnUntraced(function* (runner: Runner, { sink }: typeof here) {
    const scope = yield* Scope.make()
    const call = yield* sink.open({ session, intents: () => [] }).pipe(Scope.provide(scope))
    seat = { ...runner, room, part: 0, epoch: 1 }
    return { ...call, close: Scope.close(scope, Exit.void) }
  })
  const feed = SeatedCaptionFeed.make(here.feed, first.fleet, {
    of: () => seat,
    read: () => Effect.succeed(seat)
  })
  return {
    feed,
    openHere: open(first.fleet.me, here),
    openThere: open(second.fleet.me, there),
    vacate: () => {
      seat = undefined
    },
    second
  }
})

/** What comes, as it was sent. */
const read = Effect.fnUntraced(function* ({ feed }: Effect.Success<typeof scene>) {
  const came: Array<Caption> = []
  const captions = yield* feed.subscribe(room)
  const fiber = yield* Effect.forkScoped(Stream.runForEach(captions, (one) => Effect.sync(() => came.push(one))))
  return { came, end: Fiber.join(fiber) }
})

describe("SeatedCaptionFeed", () => {
  it.live("reads a call that another runner runs, to its end", () =>
    Effect.gen(function* () {
      const world = yield* scene
      assert.strictEqual((yield* Effect.flip(world.feed.subscribe(room)))._tag, "NoSuchCall")
      const call = yield* world.openThere
      call.publish(final(1))
      const { came, end } = yield* read(world)
      yield* until(() => came.length === 1)
      call.publish(final(2))
      yield* until(() => came.length === 2)
      assert.deepStrictEqual(came, [final(1), final(2)])
      world.vacate()
      yield* call.close
      yield* end
    })
  )

  it.live("goes on where the call goes on, without a final twice", () =>
    Effect.gen(function* () {
      const world = yield* scene
      const before = yield* world.openThere
      before.publish(final(1))
      const { came, end } = yield* read(world)
      yield* until(() => came.length === 1)
      const after = yield* world.openHere
      // What a runner that takes a call is given of it it may show again.
      after.publish(final(1))
      after.publish(final(2))
      yield* world.second.end
      yield* until(() => came.length === 2)
      const back = yield* world.openHere
      yield* after.close
      back.publish(final(3))
      yield* until(() => came.length === 3)
      assert.deepStrictEqual(came, [final(1), final(2), final(3)])
      world.vacate()
      yield* back.close
      yield* end
    })
  )
})
