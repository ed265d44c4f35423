/**
 * Runners of one call, one after the other, each with its own session in the room: a process of the proof. Every `EVERY` the call is handed over
 * to the next, `TIMES` times. Arguments: HPB, its secret, Nextcloud, engine, room, and those who read, as JSON.
 */
import { Deferred, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import * as HandOver from "../../src/domain/HandOver.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import type { Answer, RunningCall } from "../../src/layers/CallSeat.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import * as TalkCall from "../../src/layers/TalkCall.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"

const [hpbUrl = "", secret = "", nextcloudUrl = "", engineUrl = "", token = "", viewers = "[]"] = process.argv.slice(2)
/** What was said without a pause is heard once more by the next, at four times its pace: that takes a while. */
const EVERY = "3300 millis"
const TIMES = 5
const room = RoomToken.make(token)
const wire = Schema.fromJsonString(HandOver.Left)

const runner = SpreedSignaling.layer({
  hpbUrl,
  internalSecret: Redacted.make(secret),
  backendUrls: Effect.succeed([nextcloudUrl])
}).pipe(
  Layer.merge(
    EngineTranscriber.layer.pipe(
      Layer.provide(ConfiguredEngines.single),
      Layer.provide(ModalEngine.layer),
      Layer.provide(SocketModalClient.layer({ url: { _tag: "Direct", url: engineUrl } }))
    )
  ),
  Layer.merge(TalkTranscriptSink.layer()),
  Layer.merge(WeriftPeerConnection.layer()),
  Layer.merge(OpusDecoder.layer),
  Layer.merge(NoNextcloud.layer)
)

const overTheWire = (left: HandOver.Left) => Schema.decodeSync(wire)(Schema.encodeSync(wire)(left))

/** Runs the call until another has it. */
const run = Effect.fnUntraced(function* (intents: CallIntents.CallIntents, epoch: number, ask?: Effect.Effect<Answer>) {
  const scope = yield* Scope.make()
  const context = yield* Layer.build(runner).pipe(Scope.provide(scope))
  const program = yield* TalkCall.make(TalkCall.defaultOptions).pipe(Effect.provideContext(context))
  const running = yield* Deferred.make<RunningCall>()
  const call = program(intents, {
    report: () => {},
    heardElsewhere: () => 0,
    seat: {
      rank: { epoch, incarnation: Incarnation.make(`runner-${epoch}`) },
      onOutranked: ({ epoch: by }) => console.log(`moved from ${epoch} to ${by}`),
      onRunning: (one) => Deferred.doneUnsafe(running, Effect.succeed(one)),
      ...(ask === undefined ? {} : { takeOver: { ask } })
    }
  })
  const fiber = yield* Effect.forkScoped(Effect.ensuring(call, Scope.close(scope, Exit.void)))
  return { fiber, running: yield* Deferred.await(running) }
})

const program = Effect.gen(function* () {
  const intents = CallIntents.make(room, defaultLanguage)
  for (const session of yield* Schema.decodeEffect(Schema.fromJsonString(Schema.Array(NextcloudSessionId)))(viewers)) {
    intents.add({ room, viewer: participant(session), language: defaultLanguage }, undefined)
  }
  let current = yield* run(intents, 1)
  for (let epoch = 2; epoch < 2 + TIMES; epoch++) {
    yield* Effect.sleep(EVERY)
    const { handOver } = current.running
    const asked = yield* Deferred.make<void>()
    const ask = handOver.pipe(
      Effect.map((left): Answer => ({ _tag: "Given", left: overTheWire(left) })),
      Effect.orElseSucceed((): Answer => ({ _tag: "Stays" })),
      Effect.ensuring(Deferred.succeed(asked, undefined))
    )
    const next = yield* run(intents, epoch, ask)
    yield* Deferred.await(asked)
    current = next
  }
  return yield* Effect.never
})

void Effect.runPromise(Effect.scoped(program))
