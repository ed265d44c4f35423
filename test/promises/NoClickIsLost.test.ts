/**
 * Somebody asks for captions in the worst moment: whatever a call is doing then, it captions afterwards, once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import * as ClusterCalls from "../../src/layers/ClusterCalls.ts"
import * as InProcessCalls from "../../src/layers/InProcessCalls.ts"
import { Calls } from "../../src/services/Calls.ts"
import * as CallPhases from "../support/CallPhases.ts"
import * as CallScene from "../support/CallScene.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const { presence, room, viewer, wish } = CallPhases

interface Scene {
  readonly calls: Calls["Service"]
  readonly phases: CallPhases.CallPhases
}

const places = {
  InProcessCalls: (scene: (made: Scene) => Effect.Effect<void, never, Scope.Scope>) =>
    Effect.gen(function* () {
      const { layer, phases } = CallPhases.make()
      const context = yield* Layer.build(InProcessCalls.layer({ presence }).pipe(Layer.provide(layer)))
      yield* scene({ calls: Context.get(context, Calls), phases })
    }),
  ClusterCalls: (scene: (made: Scene) => Effect.Effect<void, never, Scope.Scope>) =>
    Effect.gen(function* () {
      const { layer, phases } = CallPhases.make()
      const storage = yield* temporaryFolder
      const context = yield* Layer.build(ClusterCalls.layer({ presence, storage }).pipe(Layer.provide(layer)))
      yield* scene({ calls: Context.get(context, Calls), phases })
    })
} as const

const becomes = (condition: () => boolean) => CallScene.until(() => Effect.sync(condition))

const captions = ({ calls, phases }: Scene) =>
  CallScene.until(() =>
    Effect.map(calls.list, ([call]) => call?.state === "Captioning" && call.viewers === 1 && phases.present(room) === 1)
  )

/** Everything is over. */
const isOver = ({ calls, phases }: Scene) =>
  CallScene.until(() => Effect.map(calls.list, (all) => all.length === 0 && phases.present(room) === 0))

const click = ({ calls }: Scene) => calls.start(wish)
const off = ({ calls }: Scene) => calls.stop(room, viewer)

const nothing = () => Effect.void

/** Waits until something waits at the gate, after the click and what follows it. */
const held = (
  gate: "joining" | "delivering" | "leaving",
  before: (scene: Scene) => Effect.Effect<unknown>
): Moment => ({
  arrive: (scene) =>
    scene.phases[gate].hold.pipe(Effect.andThen(before(scene)), Effect.andThen(becomes(scene.phases[gate].reached))),
  goOn: ({ phases }) => phases[gate].release
})

interface Moment {
  readonly arrive: (scene: Scene) => Effect.Effect<void>
  /** Lets the call go on, after the click. */
  readonly goOn: (scene: Scene) => Effect.Effect<void>
}

const onAndOff = (scene: Scene) => click(scene).pipe(Effect.andThen(captions(scene)), Effect.andThen(off(scene)))
const onAndEnded = (scene: Scene) =>
  click(scene).pipe(Effect.andThen(captions(scene)), Effect.andThen(scene.calls.end(room)))

const moments: Readonly<Record<string, Moment>> = {
  "before there is a call": { arrive: nothing, goOn: nothing },
  "while the room is joined for an earlier click": held("joining", click),
  "in the instant in which it was switched on and off": {
    arrive: (scene) => Effect.andThen(click(scene), off(scene)),
    goOn: nothing
  },
  "in the grace period": {
    arrive: (scene) =>
      Effect.andThen(
        onAndOff(scene),
        CallScene.until(() => Effect.map(scene.calls.list, ([call]) => call?.state === "Leaving"))
      ),
    goOn: nothing
  },
  "while the last words are delivered": held("delivering", onAndOff),
  "while bye is said": held("leaving", onAndOff),
  "while bye is said after the call was ended for all": held("leaving", onAndEnded),
  "in the moment in which the room is forgotten": {
    // looks as often as anything can happen in between
    arrive: (scene) =>
      Effect.andThen(
        onAndEnded(scene),
        Effect.yieldNow.pipe(
          Effect.andThen(scene.calls.list),
          Effect.repeat({ until: (all) => all.length === 0 }),
          Effect.asVoid
        )
      ),
    goOn: nothing
  }
}

for (const [place, inScene] of Object.entries(places)) {
  describe(`a click on captions is honoured by ${place}`, () => {
    for (const [moment, { arrive, goOn }] of Object.entries(moments)) {
      it.live(moment, () =>
        inScene((scene) =>
          Effect.gen(function* () {
            yield* arrive(scene)
            yield* click(scene)
            yield* goOn(scene)
            yield* captions(scene)
            assert.strictEqual(scene.phases.most(), 1)
            yield* off(scene)
            yield* isOver(scene)
          })
        )
      )
    }
  })
}
