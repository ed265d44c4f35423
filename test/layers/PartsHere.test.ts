import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import * as RpcTest from "effect/rpc/RpcTest"
import { TestClock } from "effect/testing"
import { kyutaiLanguages } from "../../src/domain/Language.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { PartRpcs } from "../../src/layers/PartProtocol.ts"
import * as PartsHere from "../../src/layers/PartsHere.ts"
import { Signaling } from "../../src/services/Signaling.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as ScriptedPeers from "../support/ScriptedPeers.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"

const { session } = ScriptedSession.make({ now: () => 0 })
const { room } = session

const dependencies = Layer.mergeAll(
  Layer.succeed(Signaling, {
    refusal: () => undefined,
    join: () => Effect.succeed({ ...session, events: Stream.never })
  }),
  Layer.succeed(Transcriber, {
    languages: kyutaiLanguages,
    prepare: () => Effect.void,
    transcribe: () => Stream.empty
  }),
  ScriptedPeers.make().layer,
  OpusDecoder.layer,
  NoNextcloud.layer
)

/** A runner that hears parts, as others reach it. */
const runner = Effect.gen(function* () {
  const { answers } = yield* PartsHere.make({
    ...{ incarnation: Incarnation.make("runner"), screenShares: false, maxVoices: 1 },
    ...{ heard: () => 0, isEnding: () => false }
  })
  const handlers = yield* Layer.build(PartRpcs.toLayer(answers))
  return yield* Effect.provideContext(RpcTest.makeClient(PartRpcs), handlers)
})

describe("PartsHere", () => {
  it.effect("knows no part of the process that was at its address before", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const started = Effect.provide(Scope.provide(runner, scope), dependencies)
      const before = yield* Effect.flatMap(started, (one) => one.OpenPart({ room }))
      yield* TestClock.adjust("1 second")
      const second = yield* started
      const after = yield* second.OpenPart({ room })
      const told = (life: number) => Effect.result(second.TellPart({ room, life, taken: [] }))
      assert.strictEqual((yield* told(before.life))._tag, "Failure")
      assert.strictEqual((yield* told(after.life))._tag, "Success")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => closing.pollUnsafe() !== undefined })
    })
  )
})
