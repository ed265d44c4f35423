import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { emptyRoster, type Roster } from "../../src/domain/Roster.ts"
import type { SignalingEvent } from "../../src/services/Signaling.ts"
import * as SubscriptionScene from "../support/SubscriptionScene.ts"
import { voiceOf } from "../support/SubscriptionScene.ts"

type Scene = Effect.Success<ReturnType<typeof SubscriptionScene.make>>

const test = (name: string, body: (scene: Scene) => Effect.Effect<void, unknown, Scope.Scope>, keepsFailed = true) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const scene = yield* SubscriptionScene.make({ keepsFailed })
      yield* scene.subscriptions.setHearing(true)
      yield* body(scene)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

const joined: SignalingEvent = { _tag: "Joined", roster: emptyRoster, again: false }
const offered = (name: string, sid: string): SignalingEvent => ({
  _tag: "Offered",
  voice: voiceOf(name),
  sid,
  sdp: `offer ${sid}`
})
const out = { inCall: 0 }
/** Nobody is in the call. */
const inTheRoom = ({ participants, ...roster }: Roster): Roster => ({
  ...roster,
  participants: new Map([...participants].map(([session, one]) => [session, { ...one, ...out }]))
})

describe("a place in the room from which a publisher is not offered any more", () => {
  test("is left for a spare one as soon as the HPB has given a request up that it had kept waiting", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      yield* TestClock.adjust("10 seconds")
      scene.requests()
      yield* scene.fail("alice", "video", "processing_failed")
      const [spare] = scene.spares()
      yield* TestClock.adjust("500 millis")
      yield* scene.tellSpare(spare, joined)
      assert.deepStrictEqual(spare?.requests, ["video:alice"])
      assert.deepStrictEqual(scene.requests(), [])

      yield* scene.tellSpare(spare, offered("alice", "s1"))
      assert.deepStrictEqual(spare?.answers, ["video:alice s1"])
      scene.peers.all[0]?.connect()
      assert.isTrue(scene.subscriptions.heard(voiceOf("alice")))
      // The old place is late with it.
      yield* scene.offer("alice", "s0")
      assert.deepStrictEqual(scene.answers(), [])
      // Nobody else has moved.
      yield* scene.offer("bob", "s2")
      assert.deepStrictEqual(scene.answers(), ["video:bob s2: answer to offer s2"])
      assert.strictEqual(scene.spares().length, 1)

      yield* scene.leave("alice")
      assert.isTrue(spare?.isOver)
      assert.strictEqual(scene.peers.open().length, 1)
    }))

  test("whoever leaves the call before its offer came and comes back is asked from a spare place at once", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      yield* scene.change("alice", out)
      yield* scene.enter("alice")
      const [first] = scene.spares()
      yield* scene.tellSpare(first, joined)
      assert.deepStrictEqual(first?.requests, ["video:alice"])
      yield* scene.change("alice", out)
      assert.isTrue(first?.isOver)
      yield* scene.enter("alice")
      const second = scene.spares()[1]
      yield* scene.tellSpare(second, joined)
      assert.deepStrictEqual(second?.requests, ["video:alice"])
      assert.deepStrictEqual(scene.requests(), [])
    }))

  test("is not taken for one when the request came to something after all, or when nothing was published", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      yield* scene.change("alice", out)
      yield* scene.change("bob", out)
      yield* scene.offer("alice", "s1")
      yield* scene.fail("bob")
      scene.requests()
      yield* scene.enter("alice", "bob")
      assert.deepStrictEqual(scene.requests(), ["video:alice", "video:bob"])
      assert.strictEqual(scene.spares().length, 0)
    }))

  test("is not taken for one by who is told late, all at once, that we joined and who is there", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      const told = scene.session.roster()
      yield* scene.subscriptions.setHearing(false)
      scene.requests()

      // What the HPB says behind its answer to our join: who is in the room, and then who of them is in the call.
      const late = yield* scene.later
      yield* late.setHearing(true)
      yield* late.handle({ _tag: "Joined", roster: emptyRoster, again: false })
      yield* late.handle({ _tag: "RosterChanged", roster: inTheRoom(told) })
      yield* late.handle({ _tag: "RosterChanged", roster: told })
      yield* scene.settle
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      assert.strictEqual(scene.spares().length, 0)
    }))

  test("is as good as any after our session or the publisher's is another one", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      yield* scene.change("alice", out)
      yield* scene.leave("bob")
      yield* scene.enter("bob")
      yield* scene.joinAnew
      yield* scene.enter("alice")
      assert.strictEqual(scene.spares().length, 0)
    }))

  test("a refusal that came at once, as from an HPB without Janus, or that nothing is published moves nobody", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      yield* scene.fail("alice", "video", "processing_failed")
      yield* TestClock.adjust("10 seconds")
      yield* scene.fail("bob")
      assert.strictEqual(scene.spares().length, 0)
    }))

  test("a microphone that never reaches Janus costs a place after 30 s, and then half as often each time", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      const failure: SignalingEvent = { _tag: "RequestFailed", voice: voiceOf("alice"), code: "processing_failed" }
      const movedAfter: Array<number> = []
      for (let requests = 1; requests <= 20; requests++) {
        yield* TestClock.adjust("10 seconds")
        const spare = scene.spares().at(-1)
        spare?.requests.splice(0)
        yield* spare === undefined ? scene.tell(failure) : scene.tellSpare(spare, failure)
        const newest = scene.spares().at(-1)
        if (newest !== spare) {
          movedAfter.push(requests)
          yield* scene.tellSpare(newest, joined)
        }
        while (newest?.requests.length === 0) yield* TestClock.adjust("250 millis")
      }
      assert.deepStrictEqual(movedAfter, [1, 4, 8, 14])
      assert.deepStrictEqual(
        scene.spares().map(({ isOver }) => isOver),
        [true, true, true, false]
      )
    }))

  test(
    "is not known to an HPB that forgets what came to nothing",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice")
        yield* scene.change("alice", out)
        yield* scene.enter("alice")
        yield* TestClock.adjust("10 seconds")
        yield* scene.fail("alice", "video", "processing_failed")
        assert.strictEqual(scene.spares().length, 0)
      }),
    false
  )
})
