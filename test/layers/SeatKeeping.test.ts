import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as CallPresence from "../../src/layers/CallPresence.ts"
import type * as RunnerFleet from "../../src/layers/RunnerFleet.ts"
import { NotGiven } from "../../src/layers/RunnerProtocol.ts"
import * as CallScene from "../support/CallScene.ts"
import * as Fleets from "../support/Fleets.ts"
import * as SeatedRunners from "../support/SeatedRunners.ts"
import * as Standstill from "../support/Standstill.ts"

/** A runner, and beside it another that only answers as it is told here. */
const sceneOf = Effect.fnUntraced(function* (calls: number) {
  const file = yield* Fleets.sharedFile
  const made = yield* SeatedRunners.make(calls, { _tag: "File", file, isShared: true }, CallPresence.defaultLimits)
  yield* made.open
  const [wish] = made.wishes
  assert(wish !== undefined)
  const runner = yield* made.boot
  const { processOf } = yield* Fleets.supervisor
  return {
    ...made,
    ...{ wish, runner },
    joinedBy: Effect.fnUntraced(function* (answers: Partial<RunnerFleet.RunnerAnswers>, isEnding = false) {
      const beside = processOf(1)
      const { Presence } = Fleets.answersOf(beside.incarnation, isEnding)
      const { end, fleet, join } = yield* Fleets.fleet(file, beside, { Presence, ...answers })
      yield* join
      yield* CallScene.until(() => Effect.sync(() => fleet.peers().length === 1))
      const [peer] = fleet.peers()
      assert(peer !== undefined)
      return { end, fleet, peer }
    })
  }
})
const scene = sceneOf(1)

/** Its call is running, and the other one may ask for it. */
const running = Effect.gen(function* () {
  const { runner, talk, wish, ...world } = yield* scene
  const { fleet, peer } = yield* world.joinedBy({})
  yield* runner.calls.start(wish)
  yield* CallScene.until(() => Effect.sync(() => talk.servicesIn(wish.room) === 1))
  const [seat] = yield* world.seats
  assert(seat !== undefined)
  return { fleet, peer, runner, seat, talk, wish }
})

/** The other one has asked for it, and is not given it before the HPB is back. */
const askedToGive = Effect.gen(function* () {
  const { fleet, peer, runner, seat, talk, wish } = yield* running
  yield* Effect.forkChild(talk.restart(500))
  yield* CallScene.until(() => Effect.map(runner.calls.list, ([call]) => call?.state === "Reconnecting"))
  const giving = yield* Effect.forkChild(fleet.ask(peer.address, (client) => client.Give(seat), "1 minute"))
  yield* Effect.sleep("100 millis")
  return { giving, runner, wish }
})

describe("SeatKeeping", () => {
  it.live("takes a call that is offered again, while it does so and after it was not given", () =>
    Effect.gen(function* () {
      const { runner, talk, wish, wishes, ...world } = yield* scene
      let asked = 0
      let gives = false
      const { fleet, peer } = yield* world.joinedBy({
        Give: () =>
          Effect.suspend(() => {
            asked++
            return gives
              ? Effect.succeed({ left: { voices: [], unsaid: [] }, intents: wishes })
              : Effect.fail(new NotGiven())
          })
      })
      const { room } = wish
      const known = { ...fleet.me, room, part: 0, epoch: 1 }
      const vacancy = { room, known, isAlive: true }
      const offer = fleet.ask(peer.address, (client) => client.Take({ vacancy, intents: wishes }), "1 minute")
      yield* offer
      yield* offer
      yield* CallScene.until(() => Effect.sync(() => asked > 0 && talk.servicesIn(room) === 0))
      gives = true
      yield* offer
      yield* CallScene.until(() =>
        Effect.map(runner.calls.list, ([call]) => call?.state === "Captioning" && talk.servicesIn(room) === 1)
      )
      // It is its own by now.
      yield* offer
    })
  )

  it.live("takes a call whose runner ends while it is asked to give it", () =>
    Effect.gen(function* () {
      const { runner, talk, wish, wishes, ...world } = yield* scene
      let isAsked = false
      const Give = () =>
        Effect.suspend(() => {
          isAsked = true
          return Effect.never
        })
      const { end, fleet, peer } = yield* world.joinedBy({ Give }, true)
      const { room } = wish
      const vacancy = { room, known: { ...fleet.me, room, part: 0, epoch: 1 }, isAlive: true }
      yield* fleet.ask(peer.address, (client) => client.Take({ vacancy, intents: wishes }), "1 minute")
      yield* CallScene.until(() => Effect.sync(() => isAsked))
      yield* end
      yield* CallScene.until(() =>
        Effect.map(runner.calls.list, ([call]) => call?.state === "Captioning" && talk.servicesIn(room) === 1)
      )
    }).pipe(Effect.timeout("20 seconds"), Standstill.played)
  )

  it.live("keeps a call that nobody wants any more", () =>
    Effect.gen(function* () {
      const { fleet, peer, runner, seat, wish } = yield* running
      yield* runner.calls.stop(wish.room, wish.viewer)
      const given = yield* Effect.flip(fleet.ask(peer.address, (client) => client.Give(seat), "1 minute"))
      assert.strictEqual(given._tag, "NotGiven")
    })
  )

  it.live("hears of a click when it has not given the call, and not while it gives it", () =>
    Effect.gen(function* () {
      const { giving, runner, wish } = yield* askedToGive
      const ending = yield* Effect.forkChild(runner.calls.end(wish.room))
      assert.deepStrictEqual((yield* Fiber.join(giving)).intents, [wish])
      assert.isTrue(yield* Fiber.join(ending))
      // The other one does not take it: it is ours again.
      yield* CallScene.until(() => Effect.map(runner.calls.list, (all) => all.length === 0))
    }).pipe(Standstill.played)
  )

  it.live("gives the call that it was about to give when its runner is told to end", () =>
    Effect.gen(function* () {
      const { giving, runner, wish } = yield* askedToGive
      yield* Effect.forkChild(runner.end)
      assert.deepStrictEqual((yield* Fiber.join(giving)).intents, [wish])
    }).pipe(Standstill.played)
  )

  it.live("takes what it was told to take, though whoever told it waits no longer", () =>
    Effect.gen(function* () {
      const { runner, talk, wishes, ...world } = yield* sceneOf(40)
      const { fleet, peer } = yield* world.joinedBy({})
      yield* Effect.forEach(
        wishes,
        ({ room }, n) =>
          fleet
            .ask(peer.address, (client) => client.Take({ vacancy: { room, isAlive: false }, intents: [] }), "1 minute")
            .pipe(Effect.timeoutOption(n)),
        { concurrency: "unbounded", discard: true }
      )
      // Of a room that was left half taken no click would be heard.
      yield* Effect.forEach(wishes, (wish) => runner.calls.start(wish), { concurrency: 8, discard: true })
      yield* CallScene.until(() => Effect.sync(() => wishes.every(({ room }) => talk.servicesIn(room) === 1)))
    }).pipe(Effect.timeout("20 seconds"), Standstill.played)
  )

  it.live("says so when its runner ends and nobody takes a call in time, though another said that it would", () =>
    Effect.gen(function* () {
      const world = yield* scene
      const { runner, wish, wishes } = world
      yield* runner.calls.start(wish)
      yield* SeatedRunners.captioned(world, [runner], wishes)
      yield* world.joinedBy({ Take: () => Effect.void })
      yield* runner.end
      assert.lengthOf(
        runner.lines.filter((line) => line.startsWith("Not all calls of this runner were taken in time")),
        1
      )
    }).pipe(Standstill.played)
  )
})
