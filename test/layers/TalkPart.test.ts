import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../src/domain/Call.ts"
import { defaultLanguage, kyutaiLanguages } from "../../src/domain/Language.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as TalkPart from "../../src/layers/TalkPart.ts"
import { Signaling, type SignalingEvent } from "../../src/services/Signaling.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as ScriptedPeers from "../support/ScriptedPeers.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"

/** A part that hears Ada; `ends`, one for each of her voices: whether by then all that had come was heard. */
const scene = Effect.gen(function* () {
  const peers = ScriptedPeers.make()
  const { join, session } = ScriptedSession.make({ now: () => 0 })
  join(ScriptedSession.person("ada"))
  const events = yield* Queue.unbounded<SignalingEvent>()
  Queue.offerUnsafe(events, { _tag: "RosterChanged", roster: session.roster() })
  const signaling = Layer.succeed(Signaling, {
    refusal: () => undefined,
    join: () =>
      Effect.succeed({
        ...session,
        events: Stream.fromQueue(events),
        requestOffer: (voice) => Queue.offerUnsafe(events, { _tag: "Offered", voice, sdp: "offer" })
      })
  })
  const ends: Array<boolean> = []
  const transcriber = Layer.succeed(Transcriber, {
    languages: kyutaiLanguages,
    prepare: () => Effect.void,
    transcribe: ({ frames }) =>
      Stream.onEnd(
        Stream.drain(frames),
        Effect.sync(() => ends.push(peers.all.every(({ isCaughtUp }) => isCaughtUp)))
      )
  })
  const { part } = yield* TalkPart.make(session.room, {
    ...{ incarnation: Incarnation.make("part"), life: 1, screenShares: false, maxVoices: () => 1, isLed: () => true }
  }).pipe(Effect.provide([signaling, transcriber, peers.layer, OpusDecoder.layer, NoNextcloud.layer]))
  part.order({
    lead: { epoch: 1, incarnation: Incarnation.make("lead") },
    hears: [{ publisher: SessionId.make("ada"), roomType: "video" }],
    ...{ keeps: [], moved: [], isHearing: true, turn: 0 },
    ...{ language: defaultLanguage, privacy: "any", iceServers: undefined }
  })
  yield* Effect.repeat(TestClock.adjust("100 millis"), { until: () => peers.all.length === 1 })
  for (const peer of peers.all) peer.connect()
  yield* Effect.repeat(TestClock.adjust("100 millis"), { until: () => part.connected() === 1 })
  return { part, ends }
})

describe("a part that ends", () => {
  it.effect("has heard all that has come before its voices are over", () =>
    Effect.gen(function* () {
      const { ends, part } = yield* scene
      const ending = yield* Effect.forkChild(part.finish)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(ending)
      assert.deepStrictEqual(ends, [true])
    })
  )
})
