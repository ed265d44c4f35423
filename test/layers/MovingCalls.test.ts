import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CallPresence from "../../src/layers/CallPresence.ts"
import * as CallScene from "../support/CallScene.ts"
import * as Fleets from "../support/Fleets.ts"
import * as SeatedRunners from "../support/SeatedRunners.ts"
import * as Standstill from "../support/Standstill.ts"

/** So many that the database is not done with one before it is asked about the next. */
const CALLS = 150
/** ms; from click to click: all fall into the second that calls need to change hands, each into a moment of its own. */
const STEP = 8

/** Calls that nobody wants any more, and that have not heard of it, stay for a minute. */
const scene = Effect.gen(function* () {
  const file = yield* Fleets.sharedFile
  const made = yield* SeatedRunners.make(CALLS, { _tag: "File", file, isShared: true }, CallPresence.defaultLimits)
  yield* made.open
  const { processOf } = yield* Fleets.supervisor
  return {
    ...made,
    /** Who sees the runners and has no calls. */
    beside: Effect.gen(function* () {
      const { incarnation, ...runner } = processOf(9)
      const { Presence } = Fleets.answersOf(incarnation, true)
      const { fleet, join } = yield* Fleets.fleet(file, { ...runner, incarnation }, { Presence })
      yield* join
      yield* CallScene.until(() => Effect.sync(() => fleet.peers().length === 2))
      return fleet
    })
  }
})
type Scene = Effect.Success<typeof scene>

const startedBy = (made: Scene, runners: readonly [SeatedRunners.Runner, ...ReadonlyArray<SeatedRunners.Runner>]) =>
  Effect.andThen(
    Effect.forEach(made.wishes, (wish) => runners[0].calls.start(wish), { concurrency: 8 }),
    SeatedRunners.captioned(made, runners, made.wishes)
  )

/** Ends each call a little later than the one before, by one runner or the other. */
const endAll = ({ wishes }: Scene, runners: ReadonlyArray<SeatedRunners.Runner>) =>
  Effect.forEach(
    wishes,
    ({ room }, n) =>
      Effect.gen(function* () {
        yield* Effect.sleep(n * STEP)
        const runner = runners[n % runners.length]
        assert.isTrue(yield* runner?.calls.end(room) ?? Effect.succeed(false), room)
      }),
    { concurrency: "unbounded", discard: true }
  )

const areGone = ({ talk, wishes }: Scene, runners: ReadonlyArray<SeatedRunners.Runner>) =>
  CallScene.until(() =>
    Effect.forEach(runners, ({ calls }) => calls.list).pipe(
      Effect.map((all) => all.flat().length === 0 && wishes.every(({ room }) => talk.servicesIn(room) === 0))
    )
  )

const within = <A, E, R>(play: Effect.Effect<A, E, R>) => Standstill.played(Effect.timeout(play, "40 seconds"))

describe("a call that changes hands", () => {
  it.live("ends when it is told to, whoever has it in that moment", () =>
    Effect.gen(function* () {
      const made = yield* scene
      const runners = [yield* made.boot, yield* made.boot] as const
      const beside = yield* made.beside
      yield* startedBy(made, runners)
      const moved = Effect.forEach(
        yield* made.seats,
        ({ address, incarnation, room }) => {
          const to = beside.peers().find((one) => one.incarnation !== incarnation)
          assert(to !== undefined)
          return beside.ask(address, (client) => client.Move({ room, to: to.address }), "10 seconds")
        },
        { concurrency: "unbounded" }
      )
      yield* Effect.all([moved, endAll(made, runners)], { concurrency: 2 })
      yield* areGone(made, runners)
    }).pipe(within)
  )

  it.live("ends when it is told to while a runner takes it up that found nobody there", () =>
    Effect.gen(function* () {
      const made = yield* scene
      const before = yield* made.boot
      yield* startedBy(made, [before])
      yield* before.end
      const next = yield* made.boot
      yield* endAll(made, [next])
      yield* areGone(made, [next])
    }).pipe(within)
  )
})
