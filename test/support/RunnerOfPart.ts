/**
 * A part of a call on the test clock, as a program of a runner of its own, and as a lead has it.
 */
import { Deferred, Effect, Schedule, Stream } from "effect"
import type { RoomToken } from "../../src/domain/Call.ts"
import type { PartEnd, PartLink } from "../../src/layers/CallPart.ts"
import * as TalkPart from "../../src/layers/TalkPart.ts"
import type { Program, Runner } from "./RunnersOfCall.ts"

export interface RunnerOfPart extends PartLink {
  /** All that listen to it do not hear it any more, and have to listen again. */
  readonly breakWay: () => void
  /** Its runner is told to end: as `PartsHere` does it. */
  readonly end: Effect.Effect<void>
}

/** A part of the room; `onRunning` is told of it when it can be asked. */
export const run = (room: RoomToken, onRunning: (runner: Runner, link: RunnerOfPart) => void): Program =>
  Effect.fnUntraced(function* (runner, incarnation) {
    const made = yield* TalkPart.make(room, {
      ...{ incarnation, life: 1, screenShares: false, maxVoices: () => 200, isLed: () => true }
    })
    const leaving = Deferred.makeUnsafe<void>()
    const gone = Deferred.makeUnsafe<PartEnd>()
    const ways = new Set<Deferred.Deferred<void>>()
    onRunning(runner, {
      ...made.part,
      listen: (...from) =>
        Stream.suspend(() => {
          const way = Deferred.makeUnsafe<void>()
          ways.add(way)
          return Stream.interruptWhen(made.part.listen(...from), Deferred.await(way))
        }),
      leaving,
      gone,
      breakWay: () => {
        for (const way of ways) Deferred.doneUnsafe(way, Effect.void)
      },
      end: Effect.gen(function* () {
        yield* Deferred.succeed(leaving, undefined)
        yield* Effect.sync(made.isNeeded).pipe(
          Effect.repeat({ while: (is) => is, schedule: Schedule.spaced("20 millis") }),
          Effect.timeoutOption("3 seconds")
        )
        yield* made.part.finish
      })
    })
    yield* made.run
    yield* Deferred.succeed(gone, "Left")
  }, Effect.scoped)

/** As that runner has it: whoever is dead tells nobody anything. `onTaken`: it has taken voices, the answer is on its way. */
export const reachedBy = (runner: Runner, link: RunnerOfPart, onTaken: Effect.Effect<void>): PartLink => ({
  ...link,
  order: (order) => {
    if (!runner.isDead) link.order(order)
  },
  acknowledge: (numbers) => {
    if (!runner.isDead) link.acknowledge(numbers)
  },
  given: (voices) => Effect.suspend(() => (runner.isDead ? Effect.undefined : link.given(voices))),
  take: (given) => Effect.suspend(() => (runner.isDead ? Effect.succeed([]) : Effect.tap(link.take(given), onTaken))),
  finish: Effect.suspend(() => (runner.isDead ? Effect.void : link.finish))
})
