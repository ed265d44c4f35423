import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, FiberSet, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { participant, SessionId } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import type { PartEnd, PartLink, PartOrder } from "../../src/layers/CallPart.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import * as Dice from "../../tools/chaos/Dice.ts"
import * as CountedSound from "../support/CountedSound.ts"
import * as RunnersOfCall from "../support/RunnersOfCall.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"

/** Somebody has asked for captions of a call of which a part of a lead before hears Ada; what that part is told. */
const taken = Effect.gen(function* () {
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const scripted = ScriptedSession.make({ now, canReachCall: true, confirmMs: 1 })
  const { room } = scripted.session
  scripted.join(ScriptedSession.person("ada"))
  const intents = CallIntents.make(room, defaultLanguage)
  const viewer = participant(ScriptedSession.nextcloudId("vera"))
  intents.add({ room, viewer, language: defaultLanguage }, undefined)
  const orders: Array<PartOrder> = []
  const part: PartLink = {
    incarnation: Incarnation.make("part"),
    hears: () => [{ publisher: SessionId.make("ada"), roomType: "video" }],
    connected: () => 1,
    order: (order) => orders.push(order),
    listen: () => Stream.never,
    acknowledge: () => {},
    given: () => Effect.succeed([]),
    kept: Effect.succeed,
    take: () => Effect.succeed([]),
    finish: Effect.void,
    leaving: Deferred.makeUnsafe<void>(),
    gone: Deferred.makeUnsafe<PartEnd>()
  }
  const sounds = CountedSound.make([{ name: "ada", stretches: [] }])
  const { launch } = RunnersOfCall.make({
    ...{ now, scripted, sounds, intents, confirmMs: 1, names: ["ada"], dice: Dice.make(1), note: () => {} },
    later: (ms, run) => fork(Effect.delay(Effect.sync(run), ms)),
    peers: Context.get(yield* Layer.build(sounds.peers), PeerConnection),
    came: new Map(),
    complain: () => {},
    partsFor: () => ({ running: () => Effect.succeed([part]), open: () => Effect.undefined }),
    most: 1
  })
  yield* launch()
  return { orders, veraComes: () => scripted.join(ScriptedSession.person("vera", { inCall: 1 })) }
})

describe("TalkCall, where a part of a lead before hears somebody", () => {
  it.effect("has it go on until it is known who is in the room, and end where nobody reads", () =>
    Effect.gen(function* () {
      const { orders } = yield* taken
      yield* TestClock.adjust("4900 millis")
      assert.deepStrictEqual(orders, [])
      yield* TestClock.adjust("1200 millis")
      assert.strictEqual(orders.length, 1)
      assert.strictEqual(orders[0]?.isHearing, false)
    })
  )

  it.effect("has it go on hearing for somebody who comes within that time", () =>
    Effect.gen(function* () {
      const { orders, veraComes } = yield* taken
      yield* TestClock.adjust("4 seconds")
      veraComes()
      yield* TestClock.adjust("6 seconds")
      assert.isAbove(orders.length, 0)
      assert.isTrue(orders.every(({ hears, isHearing }) => isHearing && hears.length === 1))
    })
  )

  it.effect("has it hear again when somebody comes later", () =>
    Effect.gen(function* () {
      const { orders, veraComes } = yield* taken
      yield* TestClock.adjust("8 seconds")
      veraComes()
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(
        orders.map(({ isHearing }) => isHearing),
        [false, true]
      )
    })
  )
})
