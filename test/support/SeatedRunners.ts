/**
 * Several runners in one process, with one database, in a Talk that knows how often each room is joined.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { Intent, RoomToken } from "../../src/domain/Call.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import * as SeatedCalls from "../../src/layers/SeatedCalls.ts"
import { type CallStatus, Calls } from "../../src/services/Calls.ts"
import { CaptionFeed } from "../../src/services/CaptionFeed.ts"
import { ViewerLanguages } from "../../src/services/ViewerLanguages.ts"
import * as CallPhases from "./CallPhases.ts"
import * as CallScene from "./CallScene.ts"
import * as Fleets from "./Fleets.ts"

export const make = Effect.gen(function* () {
  const file = yield* Fleets.sharedFile
  const { processOf, tell } = yield* Fleets.supervisor
  let slots = 0
  const boot = Effect.gen(function* () {
    const runner = processOf(slots++)
    // Rooms are counted by runner.
    const { layer, lines, phases } = CallPhases.make()
    const scope = yield* Scope.make()
    const end = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => end)
    const seated = SeatedCalls.layer({
      database: { _tag: "File", file, isShared: true },
      runner,
      // All of them are one process.
      cpuMs: () => 0,
      presence: CallPhases.presence
    }).pipe(Layer.provide(Layer.provideMerge(HubCaptionFeed.beside(layer), layer)))
    const context = yield* Layer.build(Layer.fresh(seated)).pipe(Scope.provide(scope))
    return {
      runner,
      calls: Context.get(context, Calls),
      feed: Context.get(context, CaptionFeed),
      languages: Context.get(context, ViewerLanguages),
      phases,
      lines,
      end
    }
  })
  return { boot, tell, file }
})

export type Runner = Effect.Success<Effect.Success<typeof make>["boot"]>

/** Rooms that this runner itself is in. */
export const inside = ({ phases }: Runner, rooms: ReadonlyArray<RoomToken>): ReadonlyArray<RoomToken> =>
  rooms.filter((room) => phases.present(room) > 0)

/** Until every runner shows all these rooms captioned. */
export const captioned = (runners: ReadonlyArray<Runner>, wishes: ReadonlyArray<Intent>) =>
  Effect.forEach(runners, ({ calls }) =>
    CallScene.until(() =>
      Effect.map(calls.list, (all) => wishes.every(({ room }) => all.some((call) => isCaptioned(call, room))))
    )
  )

const isCaptioned = (call: CallStatus, room: RoomToken) => call.room === room && call.state === "Captioning"
