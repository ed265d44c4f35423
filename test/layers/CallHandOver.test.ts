import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../src/domain/Call.ts"
import { emptyRoster, learn, type Roster } from "../../src/domain/Roster.ts"
import * as CallHandOver from "../../src/layers/CallHandOver.ts"
import type { Answer } from "../../src/layers/CallSeat.ts"

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
