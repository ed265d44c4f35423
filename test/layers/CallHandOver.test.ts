import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../src/domain/Call.ts"
import { emptyRoster, learn, type Roster } from "../../src/domain/Roster.ts"
import { Incarnation, type Rank } from "../../src/domain/Seat.ts"
import * as CallHandOver from "../../src/layers/CallHandOver.ts"
import { type Answer, HandOverRefused } from "../../src/layers/CallSeat.ts"

const person = (name: string, inCall: number) => ({ session: SessionId.make(name), inCall })
const [reads, speaks] = [1, 3]

/** Somebody takes a call in a room that is as it is set here; `askedMs`: when the other one was asked. */
const taking = Effect.gen(function* () {
  const room: { roster: Roster; connected: number; askedMs?: number } = { roster: emptyRoster, connected: 0 }
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const ask = Effect.sync((): Answer => {
    room.askedMs = now()
    return { _tag: "Gone" }
  })
  const session = { state: () => ({ _tag: "Joined" }) as const, roster: () => room.roster }
  yield* Effect.forkChild(CallHandOver.taking({ session, now, connected: () => room.connected, ask }))
  return room
})

/** Somebody who gives a call, as it is set here, and was just asked for it. */
const giving = Effect.gen(function* () {
  const call = {
    state: "Joined" as "Joined" | "Dropped",
    isMuted: true,
    isHeld: false,
    outranked: undefined as Rank | undefined
  }
  const { handOver } = yield* CallHandOver.giving({
    session: { state: () => ({ _tag: call.state }) },
    fence: {
      isMuted: () => call.isHeld || call.isMuted,
      hold: (isHeld) => {
        call.isHeld = isHeld
      },
      announce: () => {},
      outranked: () => call.outranked
    },
    sink: { unsaid: () => [] },
    voices: { given: () => [] }
  })
  return { call, asked: yield* Effect.forkChild(Effect.result(handOver)) }
})
const refusal = (reason: HandOverRefused["reason"]) => Result.fail(new HandOverRefused({ reason }))

describe("who gives a call", () => {
  it.effect("that has just joined, or stood still, gives it as soon as it may speak: nobody asks twice", () =>
    Effect.gen(function* () {
      const { asked, call } = yield* giving
      yield* TestClock.adjust("400 millis")
      assert.isUndefined(asked.pollUnsafe())
      // What is said until then is said here.
      assert.isFalse(call.isHeld)
      call.isMuted = false
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(yield* Fiber.join(asked), Result.succeed({ voices: [], unsaid: [] }))
      assert.isTrue(call.isHeld)
    })
  )

  it.effect("goes on where it does not hear the room within 1.5 s, and may be asked again", () =>
    Effect.gen(function* () {
      const { asked, call } = yield* giving
      call.state = "Dropped"
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(asked), refusal("NotHeard"))
      assert.isFalse(call.isHeld)
    })
  )

  it.effect("says at once that another one has it", () =>
    Effect.gen(function* () {
      const { asked, call } = yield* giving
      yield* TestClock.adjust("100 millis")
      call.outranked = { epoch: 2, incarnation: Incarnation.make("another") }
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(yield* Fiber.join(asked), refusal("Over"))
    })
  )
})

describe("who takes a call", () => {
  it.effect(
    "asks for it when it hears everybody, also where the list of who is in the call comes behind the room",
    () =>
      Effect.gen(function* () {
        const room = yield* taking
        yield* TestClock.adjust("400 millis")
        assert.isUndefined(room.askedMs)
        room.roster = learn(emptyRoster, [person("vera", reads), person("ann", speaks)])
        yield* TestClock.adjust("600 millis")
        assert.isUndefined(room.askedMs)
        room.connected = 1
        yield* TestClock.adjust("400 millis")
        assert.isDefined(room.askedMs)
      })
  )

  it.effect("waits for those who come while it waits", () =>
    Effect.gen(function* () {
      const room = yield* taking
      room.roster = learn(emptyRoster, [person("ann", speaks)])
      room.connected = 1
      yield* TestClock.adjust("200 millis")
      room.roster = learn(room.roster, [person("bob", speaks)])
      yield* TestClock.adjust("800 millis")
      assert.isUndefined(room.askedMs)
      room.connected = 2
      yield* TestClock.adjust("400 millis")
      assert.isDefined(room.askedMs)
    })
  )

  it.effect("does not wait long for a list of nobody, nor for a microphone that is not heard", () =>
    Effect.gen(function* () {
      const empty = yield* taking
      const deaf = yield* taking
      deaf.roster = learn(emptyRoster, [person("ann", speaks)])
      yield* TestClock.adjust("1500 millis")
      assert.isDefined(empty.askedMs)
      assert.isUndefined(deaf.askedMs)
      yield* TestClock.adjust("4 seconds")
      assert.isDefined(deaf.askedMs)
    })
  )
})
