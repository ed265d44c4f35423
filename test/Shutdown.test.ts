import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Logger, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Everyone, RoomToken, SessionId } from "../src/domain/Call.ts"
import { defaultLanguage, kyutaiLanguages } from "../src/domain/Language.ts"
import { emptyRoster, InCall, type Roster } from "../src/domain/Roster.ts"
import type { Transcribed } from "../src/domain/Segment.ts"
import * as InProcessCalls from "../src/layers/InProcessCalls.ts"
import * as NoNextcloud from "../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../src/layers/OpusDecoder.ts"
import * as TalkTranscriptSink from "../src/layers/TalkTranscriptSink.ts"
import * as Shutdown from "../src/Shutdown.ts"
import { Calls } from "../src/services/Calls.ts"
import { Signaling, type SignalingEvent, type Transcript } from "../src/services/Signaling.ts"
import { type Phase, Stopping, schedule } from "../src/services/Stopping.ts"
import { Transcriber } from "../src/services/Transcriber.ts"
import * as ScriptedPeers from "./support/ScriptedPeers.ts"

/** Builds a layer, ends it, and gives how long that took by the test clock, s. */
const secondsToEnd = Effect.fnUntraced(function* <A>(layer: Layer.Layer<A>, during: Effect.Effect<void, never, A>) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(layer, scope)
  yield* Effect.provideContext(during, context)
  const beganMs = yield* Clock.currentTimeMillis
  const ending = yield* Effect.forkChild(
    Effect.andThen(Scope.close(scope, Exit.void), Clock.currentTimeMillis).pipe(
      Effect.map((endedMs) => (endedMs - beganMs) / 1000)
    )
  )
  yield* TestClock.adjust("1 hour")
  return yield* Fiber.join(ending)
})

const farewells = (...all: ReadonlyArray<Effect.Effect<void>>) =>
  Layer.effectDiscard(
    Effect.andThen(Stopping, ({ farewell }) => Effect.forEach(all, (one) => farewell(one), { discard: true }))
  )

describe("farewells", () => {
  it.effect("are said all at the same time, before anything else ends", () =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const say = (word: string, seconds: number) =>
        Effect.andThen(
          Effect.sleep(`${seconds} seconds`),
          Effect.sync(() => {
            said.push(word)
          })
        )
      const service = Layer.effectDiscard(Effect.addFinalizer(() => say("rest", 0))).pipe(
        Layer.provideMerge(farewells(say("slow", 3), say("fast", 1)))
      )
      assert.strictEqual(yield* secondsToEnd(Shutdown.orderly(8)(service), Effect.void), 3)
      assert.deepStrictEqual(said, ["fast", "slow", "rest"])
    })
  )

  it.effect("that do not end are not waited for beyond their time", () =>
    Effect.gen(function* () {
      const hanging = farewells(Effect.never, Effect.uninterruptible(Effect.never))
      assert.strictEqual(yield* secondsToEnd(Shutdown.orderly(8)(hanging), Effect.void), 6)
      assert.strictEqual(yield* secondsToEnd(Shutdown.orderly(2)(hanging), Effect.void), 1.5)
      assert.strictEqual(yield* secondsToEnd(Shutdown.orderly(40)(hanging), Effect.void), 30)
    })
  )

  it.effect("of a layer that ends early are said once", () =>
    Effect.gen(function* () {
      let ended = 0
      const layer = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => ended++)))
      yield* secondsToEnd(Shutdown.orderly(8)(Shutdown.early(layer)), Effect.void)
      assert.strictEqual(ended, 1)
      // Without anything that stops, when its turn comes.
      yield* secondsToEnd(Shutdown.early(layer), Effect.void)
      assert.strictEqual(ended, 2)
    })
  )
})

describe("the phases of an end", () => {
  it.effect("are over in order, each with its share of the time, and never while the service runs", () =>
    Effect.gen(function* () {
      const over: Array<readonly [Phase, number]> = []
      const phases: ReadonlyArray<Phase> = ["Words", "Published", "Delivered", "Left", "Closed"]
      const watch = Effect.gen(function* () {
        const { until } = yield* Stopping
        for (const phase of phases) {
          yield* Effect.forkDetach(
            Effect.andThen(
              until(phase),
              Effect.map(Clock.currentTimeMillis, (ms) => over.push([phase, ms]))
            )
          )
        }
      })
      yield* secondsToEnd(
        Shutdown.orderly(16)(Layer.effectDiscard(watch)),
        Effect.andThen(
          TestClock.adjust("1 hour"),
          Effect.sync(() => assert.deepStrictEqual(over, []))
        )
      )
      assert.deepStrictEqual(
        over,
        phases.map((phase) => [phase, 3_600_000 + 2_000 * schedule[phase]])
      )
    })
  )
})

const self = SessionId.make("parlance")
const person = (name: string, inCall: number) => ({
  session: SessionId.make(name),
  inCall,
  internal: false,
  virtual: false
})
const people = [person("ada", InCall.IN_CALL | InCall.WITH_AUDIO), person("vera", InCall.IN_CALL)]
const roster: Roster = { self, participants: new Map(people.map((one) => [one.session, one])) }

/** Calls in the middle of a sentence, with an engine that never finishes and an HPB that neither reads nor answers a bye. */
const stuckCalls = Effect.fnUntraced(function* (count: number) {
  const peers = ScriptedPeers.make()
  const sent: Array<Transcript> = []
  const signaling = Layer.succeed(Signaling, {
    refusal: () => undefined,
    join: (room) =>
      Effect.gen(function* () {
        const { until } = yield* Stopping
        const events = yield* Queue.unbounded<SignalingEvent>()
        Queue.offerAllUnsafe(events, [
          { _tag: "Joined", roster: emptyRoster, again: false },
          { _tag: "RosterChanged", roster }
        ])
        yield* Effect.addFinalizer(() => until("Left"))
        return {
          room,
          events: Stream.fromQueue(events),
          roster: () => roster,
          state: () => ({ _tag: "Joined" as const }),
          canReachCall: () => true,
          keepsFailed: () => false,
          requestOffer: (voice) => Queue.offerUnsafe(events, { _tag: "Offered", voice, sdp: "offer" }),
          answer: () => {},
          sendCandidate: () => {},
          sendTranscript: (_: unknown, transcript: Transcript) => sent.push(transcript) > 0,
          confirm: Effect.never,
          mark: () => {},
          recall: Effect.undefined
        }
      })
  })
  let voices = 0
  let unheard = 0
  const segment = { id: "v:0", revision: 1, committed: "and so I", open: "", tokenAtMs: 0 }
  const transcriber = Layer.succeed(Transcriber, {
    languages: kyutaiLanguages,
    prepare: () => Effect.void,
    transcribe: ({ frames }) =>
      Stream.suspend(() => {
        voices += 1
        const ended = Stream.onEnd(
          Stream.drain(frames),
          Effect.sync(() => {
            if (!peers.all.every(({ isCaughtUp }) => isCaughtUp)) unheard += 1
          })
        )
        const said = Stream.make<ReadonlyArray<Transcribed>>({ _tag: "Segment", segment })
        return said.pipe(Stream.concat(ended), Stream.concat(Stream.never))
      })
  })
  const calls = InProcessCalls.layer().pipe(
    Layer.provide([signaling, transcriber, peers.layer, OpusDecoder.layer, NoNextcloud.layer]),
    Layer.provide([TalkTranscriptSink.layer(), Logger.layer([])]),
    Shutdown.early
  )
  const begin = Effect.gen(function* () {
    const { start } = yield* Calls
    for (let n = 0; n < count; n++) {
      yield* start({ room: RoomToken.make(`room${n}`), viewer: Everyone, language: defaultLanguage })
    }
    const passUntil = (isSo: () => boolean) => Effect.repeat(TestClock.adjust("100 millis"), { until: isSo })
    yield* passUntil(() => peers.all.length === count)
    for (const peer of peers.all) peer.connect()
    yield* passUntil(() => voices === count)
  })
  return { calls, begin, finals: () => sent.filter(({ final }) => final), endedUnheard: () => unheard }
})

describe("calls with an engine and an HPB that hang", () => {
  for (const [count, seconds] of [
    [200, 8],
    [10, 2],
    [10, 40]
  ] as const) {
    it.effect(`have left, and shown what they had as final, when ${seconds} s are over, ${count} at once`, () =>
      Effect.gen(function* () {
        const { begin, calls, finals } = yield* stuckCalls(count)
        const took = yield* secondsToEnd(Shutdown.orderly(seconds)(calls), begin)
        assert.isAtMost(took, (seconds * schedule.Left) / 8)
        assert.strictEqual(finals().length, count)
        for (const { message } of finals()) assert.strictEqual(message, "and so I")
      })
    )
  }
})

describe("a call that ends", () => {
  it.effect("has heard all that has come before its voice is over", () =>
    Effect.gen(function* () {
      const { begin, calls, endedUnheard, finals } = yield* stuckCalls(1)
      yield* secondsToEnd(Shutdown.orderly(8)(calls), begin)
      assert.strictEqual(finals().length, 1)
      assert.strictEqual(endedUnheard(), 0)
    })
  )
})

describe("a service that does not stop", () => {
  it.effect("refuses nothing and hurries nobody", () =>
    Effect.gen(function* () {
      const { farewell, isStopping, until } = Context.get(yield* Effect.context<never>(), Stopping)
      assert.isFalse(isStopping())
      const waiting = yield* Effect.forkChild(until("Words"))
      yield* Effect.scoped(farewell(Effect.die("nobody goes")))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
    })
  )
})
