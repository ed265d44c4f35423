/**
 * Several runners in one process, with one database and one simulated HPB.
 */
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage, kyutaiLanguages } from "../../src/domain/Language.ts"
import type { Incarnation } from "../../src/domain/Seat.ts"
import * as CallPresence from "../../src/layers/CallPresence.ts"
import * as Database from "../../src/layers/Database.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as SeatedCalls from "../../src/layers/SeatedCalls.ts"
import * as Seats from "../../src/layers/Seats.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import { Calls } from "../../src/services/Calls.ts"
import { CaptionFeed } from "../../src/services/CaptionFeed.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import { TranscriptSink } from "../../src/services/TranscriptSink.ts"
import { ViewerLanguages } from "../../src/services/ViewerLanguages.ts"
import * as CallScene from "./CallScene.ts"
import * as Fleets from "./Fleets.ts"

/** Without a wish calls end at once; nobody is forgotten because a busy machine says late who is there. */
const brief: CallPresence.PresenceLimits = { ...CallPresence.defaultLimits, graceMs: 50 }

export const make = Effect.fnUntraced(function* (
  count: number,
  place?: Database.DatabasePlace,
  presence: CallPresence.PresenceLimits = brief
) {
  const talk = yield* TalkSimulator.make()
  const wishes = yield* Effect.forEach(Array.from({ length: count }), (_, n) =>
    Effect.map(
      talk.addViewer({ name: `Vera ${n}`, room: `room${n}` }),
      (vera): Intent => ({
        room: RoomToken.make(`room${n}`),
        viewer: participant(NextcloudSessionId.make(vera.nextcloudSession())),
        language: defaultLanguage
      })
    )
  )
  const { processOf, tell } = yield* Fleets.supervisor
  const shared = place ?? { _tag: "File", file: yield* Fleets.sharedFile, isShared: true }
  let slots = 0
  const bootOf = Effect.fnUntraced(function* (ofMachine: number) {
    const runner = processOf(slots++)
    const lines: Array<string> = []
    const scope = yield* Scope.make()
    const end = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => end)
    const world = Layer.mergeAll(
      SpreedSignaling.layer({
        hpbUrl: talk.url,
        internalSecret: talk.internalSecret,
        backendUrls: Effect.succeed(["http://127.0.0.1/"])
      }),
      HubCaptionFeed.beside(TalkTranscriptSink.layer()),
      NoNextcloud.layer,
      Layer.mock(PeerConnection, {}),
      OpusDecoder.layerWasm,
      Layer.mock(Transcriber, { languages: kyutaiLanguages, prepare: () => Effect.void }),
      Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    )
    const seated = SeatedCalls.layer({
      database: shared,
      runner,
      secret: Fleets.SECRET,
      ofMachine,
      // All of them are one process.
      cpuMs: () => 0,
      presence
    }).pipe(Layer.provideMerge(Layer.effect(OwnSink, TranscriptSink)), Layer.provide(world))
    const context = yield* Effect.orDie(Layer.build(Layer.fresh(seated)).pipe(Scope.provide(scope)))
    return {
      runner,
      calls: Context.get(context, Calls),
      feed: Context.get(context, CaptionFeed),
      languages: Context.get(context, ViewerLanguages),
      sink: Context.get(context, OwnSink),
      lines,
      end
    }
  })
  const boot = bootOf(1)
  const database = yield* Database.make(shared)
  const seats = Seats.make(database.sql).all
  /** How many calls each of them runs, as the database says. */
  const shares = Effect.map(seats, (all) => {
    const calls = new Map<Incarnation, number>()
    for (const { incarnation } of all) calls.set(incarnation, (calls.get(incarnation) ?? 0) + 1)
    return calls
  })
  return { boot, bootOf, tell, talk, wishes, open: database.open, seats, shares }
})

/** What a runner's calls say. */
class OwnSink extends Context.Service<OwnSink, TranscriptSink["Service"]>()("test/support/OwnSink") {}

export type Scene = Effect.Success<ReturnType<typeof make>>
export type Runner = Effect.Success<Scene["boot"]>

/** Until every runner shows all these rooms captioned, and one session of ours is in each. */
export const captioned = ({ talk }: Scene, runners: ReadonlyArray<Runner>, wishes: ReadonlyArray<Intent>) =>
  Effect.andThen(
    Effect.forEach(runners, ({ calls }) =>
      CallScene.until(() =>
        Effect.map(calls.list, (all) =>
          wishes.every(({ room }) => all.some((call) => call.room === room && call.state === "Captioning"))
        )
      )
    ),
    CallScene.until(() => Effect.sync(() => wishes.every(({ room }) => talk.servicesIn(room) === 1)))
  )
