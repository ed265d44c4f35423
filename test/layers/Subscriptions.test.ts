import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { InCall } from "../../src/domain/Roster.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import { PeerError } from "../../src/services/PeerConnection.ts"
import * as SubscriptionScene from "../support/SubscriptionScene.ts"
import { id, talking, voiceOf } from "../support/SubscriptionScene.ts"

type Scene = Effect.Success<ReturnType<typeof SubscriptionScene.make>>

const test = (
  name: string,
  body: (scene: Scene) => Effect.Effect<void, unknown>,
  options: Parameters<typeof SubscriptionScene.make>[0] = {}
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const scene = yield* SubscriptionScene.make(options)
      yield* scene.subscriptions.setHearing(true)
      yield* body(scene)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

/** Alice is in the call, subscribed with `sid` and connected. */
const aliceHeard = Effect.fnUntraced(function* (scene: Scene, sid = "s1") {
  yield* scene.enter("alice")
  yield* scene.offer("alice", sid)
  const peer = scene.peers.all.at(-1)
  assert.isDefined(peer)
  peer.connect()
  scene.requests()
  scene.answers()
  scene.voices()
  return peer
})

const dropped = (reason: string) =>
  Effect.map(Metric.value(Metric.withAttributes(Metrics.drops, { reason })), ({ count }) => count)

describe("Subscriptions", () => {
  test("asks everybody in the call with audio at once, and nobody else", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      yield* scene.change("carol", { inCall: InCall.IN_CALL })
      yield* scene.change("phone", { inCall: talking, virtual: true })
      yield* scene.change("parlance", { inCall: talking, internal: true })
      assert.deepStrictEqual(scene.requests(), ["video:alice", "video:bob"])
    }))

  test("answers an offer and hands packets on once the peer is connected", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice", "s1")
      assert.deepStrictEqual(scene.answers(), ["video:alice s1: answer to offer s1"])
      const [peer] = scene.peers.all
      assert.isDefined(peer)
      peer.send(1)
      assert.deepStrictEqual(scene.voices(), [])
      peer.connect()
      peer.send(2)
      assert.deepStrictEqual(scene.voices(), ["start video:alice"])
      assert.deepStrictEqual(scene.heard(), ["alice 2"])
      assert.strictEqual(scene.subscriptions.connected(), 1)
      assert.isTrue(scene.subscriptions.heard(voiceOf("alice")))
      assert.isFalse(scene.subscriptions.heard(voiceOf("bob")))
    }))

  test("asks again 0.5, 1, 2, 4, 8, 10 and 10 s after requests that were held, for as long as the participant is in the call", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      scene.requests()
      for (const ms of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
        yield* TestClock.adjust("10 seconds")
        yield* scene.fail("alice")
        yield* TestClock.adjust(ms - 250)
        assert.deepStrictEqual(scene.requests(), [])
        yield* TestClock.adjust(250)
        assert.deepStrictEqual(scene.requests(), ["video:alice"])
      }
      yield* scene.fail("alice")
      yield* scene.change("alice", { inCall: 0 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(scene.requests(), [])
    }))

  test("while Janus starts asks every second, and whoever was refused at once when somebody is offered", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.enter("bob")
      scene.requests()
      for (const ms of [500, ...Array.from({ length: 12 }, () => 1_000)]) {
        yield* scene.fail("alice")
        yield* scene.fail("bob")
        yield* TestClock.adjust(ms)
        assert.deepStrictEqual(scene.requests(), ["video:alice", "video:bob"])
      }
      yield* scene.fail("bob")
      yield* scene.offer("alice", "s1")
      yield* TestClock.adjust(250)
      assert.deepStrictEqual(scene.requests(), ["video:bob"])
    }))

  test("an offer ends the series of failed requests: the next failure waits 0.5 s again", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      for (const ms of [500, 1_000]) {
        yield* scene.fail("alice")
        yield* TestClock.adjust(ms)
      }
      yield* scene.offer("alice", "s1")
      scene.peers.all[0]?.connect()
      yield* TestClock.adjust("2500 millis")
      scene.requests()
      yield* scene.fail("alice")
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("does not ask twice while a request is under way", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.change("alice", { inCall: talking | InCall.WITH_VIDEO })
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("a new sid is a new peer: the old one is heard until the new one is connected, then closed", (scene) =>
    Effect.gen(function* () {
      const first = yield* aliceHeard(scene)
      yield* scene.offer("alice", "s2")
      const second = scene.peers.all[1]
      assert.isDefined(second)
      first.send(1)
      second.send(101)
      first.send(2)
      assert.isFalse(first.isClosed)
      second.connect()
      first.send(3)
      second.send(102)
      yield* scene.settle
      assert.isTrue(first.isClosed)
      assert.deepStrictEqual(scene.heard(), ["alice 1", "alice 2", "alice 102"])
      assert.deepStrictEqual(scene.voices(), [])
      assert.strictEqual(scene.subscriptions.connected(), 1)
    }))

  test("what has come and waits is heard before its speaker is over, and when it is asked for", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      peer.hold(1)
      yield* scene.subscriptions.catchUp
      assert.deepStrictEqual(scene.heard(), ["alice 1"])
      peer.hold(2)
      yield* scene.leave("alice")
      assert.deepStrictEqual(scene.heard(), ["alice 2"])
    }))

  test("the old peer is closed 10 s after the new offer, whether the new one is connected or not", (scene) =>
    Effect.gen(function* () {
      const first = yield* aliceHeard(scene)
      yield* scene.offer("alice", "s2")
      yield* TestClock.adjust("9 seconds")
      assert.isFalse(first.isClosed)
      yield* TestClock.adjust("1 second")
      assert.isTrue(first.isClosed)
      assert.isFalse(scene.peers.all[1]?.isClosed)
    }))

  test("a third offer closes the oldest of two peers", (scene) =>
    Effect.gen(function* () {
      const first = yield* aliceHeard(scene)
      yield* scene.offer("alice", "s2")
      yield* scene.offer("alice", "s3")
      assert.isTrue(first.isClosed)
      assert.strictEqual(scene.peers.open().length, 2)
    }))

  test("an older peer that connects late is not heard beside a newer one", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice", "s1")
      yield* scene.offer("alice", "s2")
      const [first, second] = scene.peers.all
      second?.connect()
      first?.connect()
      first?.send(1)
      second?.send(2)
      assert.deepStrictEqual(scene.heard(), ["alice 2"])
    }))

  test("the same sid is a renegotiation: one peer, a further answer, no interruption", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.offer("alice", "s1")
      assert.strictEqual(scene.peers.all.length, 1)
      assert.deepStrictEqual(peer.offers, ["offer s1", "offer s1"])
      assert.deepStrictEqual(scene.answers(), ["video:alice s1: answer to offer s1"])
      peer.send(1)
      assert.deepStrictEqual(scene.heard(), ["alice 1"])
      assert.strictEqual(scene.subscriptions.counters.renegotiations, 1)
    }))

  test("a renegotiation that cannot be answered closes the peer, and the publisher is asked again", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* TestClock.adjust("5 seconds")
      scene.requests()
      yield* scene.tell({ _tag: "RequestFailed", voice: voiceOf("alice"), code: "timeout" })
      scene.peers.refuse(new PeerError({ reason: "BadOffer", detail: "test" }))
      yield* scene.offer("alice", "s1")
      assert.isTrue(peer.isClosed)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("an answer that comes too late for the HPB: asked again at once, not when the set-up is certainly late", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice", "s1")
      scene.requests()
      yield* scene.tell({ _tag: "AnswerRefused", voice: voiceOf("alice"), sid: "s1", code: "client_not_found" })
      assert.isTrue(scene.peers.all[0]?.isClosed)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      yield* scene.offer("alice", "s2")
      scene.peers.all[1]?.connect()
      yield* scene.tell({ _tag: "AnswerRefused", voice: voiceOf("alice"), sid: "s1", code: "client_not_found" })
      assert.isFalse(scene.peers.all[1]?.isClosed)
    }))

  test("without a sid, as from HPB 0.4.1, each offer is a new peer", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice")
      yield* scene.offer("alice")
      assert.strictEqual(scene.peers.all.length, 2)
    }))

  test("candidates find their peer before, during and after its set-up", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.candidate("alice", "s1", "before the offer")
      yield* scene.candidate("alice", "s0", "of another subscription")
      const release = scene.peers.hold()
      yield* scene.offer("alice", "s1")
      yield* scene.candidate("alice", "s1", "before the answer")
      release()
      yield* scene.settle
      yield* scene.candidate("alice", "s1", "after the answer")
      assert.deepStrictEqual(scene.peers.all[0]?.candidates, [
        "before the offer",
        "before the answer",
        "after the answer"
      ])
    }))

  test("early candidates are kept for 10 s and at most 32 of them", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.candidate("alice", "s1", "stale")
      yield* TestClock.adjust("10 seconds")
      for (let n = 0; n < 40; n++) yield* scene.candidate("alice", "s1", `c${n}`)
      yield* scene.offer("alice", "s1")
      const candidates = scene.peers.all[0]?.candidates ?? []
      assert.strictEqual(candidates.length, 32)
      assert.strictEqual(candidates[0], "c8")
      assert.strictEqual(yield* dropped("peer_signaling"), 8)
    }))

  test("without sids a candidate goes to the peer that is there and to the offer that may follow", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice")
      yield* scene.candidate("alice", undefined, "c1")
      yield* scene.offer("alice")
      assert.deepStrictEqual(
        scene.peers.all.map((peer) => peer.candidates),
        [["c1"], ["c1"]]
      )
    }))

  test("own candidates are sent after the answer, not before", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      const release = scene.peers.hold()
      yield* scene.offer("alice", "s1")
      scene.peers.all[0]?.findCandidate({ candidate: "early" })
      assert.deepStrictEqual(scene.ownCandidates(), [])
      release()
      yield* scene.settle
      scene.peers.all[0]?.findCandidate({ candidate: "late" })
      assert.deepStrictEqual(scene.ownCandidates(), ["video:alice s1: early", "video:alice s1: late"])
    }))

  for (const [how, go] of [
    ["leaves the room", (scene: Scene) => scene.leave("alice")],
    ["leaves the call", (scene: Scene) => scene.change("alice", { inCall: 0 })],
    ["has no microphone any more", (scene: Scene) => scene.change("alice", { inCall: InCall.IN_CALL })],
    ["is there when the call ends", (scene: Scene) => scene.tell({ _tag: "CallEnded", reason: "EndedForAll" })]
  ] as const) {
    test(`a participant who ${how} is closed and its voice ends`, (scene) =>
      Effect.gen(function* () {
        const peer = yield* aliceHeard(scene)
        yield* go(scene)
        assert.isTrue(peer.isClosed)
        assert.deepStrictEqual(scene.voices(), ["end video:alice"])
        assert.strictEqual(scene.subscriptions.connected(), 0)
      }))
  }

  test("whoever comes back into the call is asked at once and is a new voice", (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene)
      yield* scene.change("alice", { inCall: 0 })
      yield* scene.change("alice", { inCall: talking })
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      yield* scene.offer("alice", "s2")
      scene.peers.all[1]?.connect()
      assert.deepStrictEqual(scene.voices(), ["end video:alice", "start video:alice"])
    }))

  test("whoever leaves and comes back twice in a second is heard once, by the newest peer", (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene, "s0")
      for (const sid of ["s1", "s2"]) {
        yield* scene.change("alice", { inCall: 0 })
        yield* TestClock.adjust("200 millis")
        yield* scene.change("alice", { inCall: talking })
        yield* TestClock.adjust("200 millis")
        yield* scene.offer("alice", sid)
      }
      const [first, second, third] = scene.peers.all
      second?.connect()
      third?.connect()
      for (const [n, peer] of [first, second, third].entries()) peer?.send(n)
      assert.deepStrictEqual(scene.heard(), ["alice 2"])
      assert.deepStrictEqual(scene.voices(), ["end video:alice", "start video:alice"])
      assert.strictEqual(scene.peers.open().length, 1)
    }))

  test("whoever leaves the room and comes back in a second as another session is another voice, and nothing is left of the first", (scene) =>
    Effect.gen(function* () {
      for (const name of ["alice-1", "alice-2", "alice-3"]) {
        yield* scene.enter(name)
        yield* scene.offer(name, "s1")
        scene.peers.all.at(-1)?.connect()
        scene.peers.all.at(-1)?.send(1)
        yield* TestClock.adjust("300 millis")
        if (name !== "alice-3") yield* scene.leave(name)
      }
      assert.deepStrictEqual(scene.heard(), ["alice-1 1", "alice-2 1", "alice-3 1"])
      assert.strictEqual(scene.peers.open().length, 1)
      // Late answers of the HPB to requests of before.
      yield* scene.offer("alice-1", "late")
      yield* scene.fail("alice-2")
      assert.strictEqual(scene.peers.open().length, 1)
      assert.deepStrictEqual(scene.requests(), ["video:alice-1", "video:alice-2", "video:alice-3"])
    }))

  test("an offer nobody asked for is ignored", (scene) =>
    Effect.gen(function* () {
      yield* scene.offer("mallory", "s1")
      yield* scene.candidate("mallory", "s1", "c")
      yield* scene.fail("mallory")
      assert.strictEqual(scene.peers.all.length, 0)
    }))

  test("a publisher whose RTP stops is asked again after 2.5 s", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      for (let second = 0; second < 20; second++) {
        peer.send(second)
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(scene.requests(), [])
      yield* TestClock.adjust("1500 millis")
      assert.deepStrictEqual(scene.requests(), [])
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      assert.strictEqual(scene.subscriptions.counters.repeatedRequests, 1)
    }))

  test("a publisher who sends twice a second, as with DTX, is left alone", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      for (let packet = 0; packet < 120; packet++) {
        peer.send(packet)
        yield* TestClock.adjust("500 millis")
      }
      assert.deepStrictEqual(scene.requests(), [])
    }))

  test("a peer that dies is asked for again within a second, also when the participant is muted", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.change("alice", { muted: true })
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(scene.requests(), [])
      peer.die()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
      assert.isFalse(scene.subscriptions.heard(voiceOf("alice")))
    }))

  test("a peer that is not connected within 15 s is replaced", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      yield* scene.offer("alice", "s1")
      scene.requests()
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(scene.requests(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("a peer that waits for its turn is not taken for a dead one", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      const release = scene.peers.hold()
      yield* scene.offer("alice", "s1")
      scene.requests()
      yield* TestClock.adjust("20 seconds")
      release()
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(scene.requests(), [])
    }))

  test("a muted participant is left alone, and looked after 2.5 s after it unmutes", (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene)
      yield* scene.change("alice", { muted: true })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(scene.requests(), [])
      yield* scene.tell({ _tag: "MuteChanged", speaker: id("alice"), muted: false })
      yield* scene.change("alice", { muted: false })
      yield* TestClock.adjust("2250 millis")
      assert.deepStrictEqual(scene.requests(), [])
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("after three silent rounds a publisher is asked half as often each time, once a minute in the end, until it is heard", (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene)
      /** ms until the next request, which is answered by a peer that connects and stays silent. */
      const nextRequest = Effect.fnUntraced(function* (sid: string) {
        let ms = 0
        while (scene.requests().length === 0) {
          ms += 250
          yield* TestClock.adjust(250)
        }
        yield* scene.offer("alice", sid)
        scene.peers.all.at(-1)?.connect()
        return ms
      })
      const waits: Array<number> = []
      for (let round = 2; round < 11; round++) waits.push(yield* nextRequest(`s${round}`))
      assert.deepStrictEqual(waits, [2_500, 2_500, 2_500, 5_000, 10_000, 20_000, 40_000, 65_000, 65_000])
      scene.peers.all.at(-1)?.send(1)
      yield* TestClock.adjust(250)
      assert.strictEqual(yield* nextRequest("s11"), 2_500)
    }))

  test("offers that cannot be answered are asked for again three times, then half as often each time", (scene) =>
    Effect.gen(function* () {
      scene.peers.refuse(new PeerError({ reason: "NoOpus", detail: "test" }))
      yield* scene.enter("alice")
      scene.requests()
      let asked = 0
      yield* scene.offer("alice", "s0")
      for (let second = 1; second <= 180; second++) {
        yield* TestClock.adjust("1 second")
        if (scene.requests().length === 0) continue
        asked++
        yield* scene.offer("alice", `s${second}`)
      }
      assert.strictEqual(asked, 8)
      assert.deepStrictEqual(scene.voices(), [])
    }))

  test("while the socket is gone peers stay and nobody is asked", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.tell({ _tag: "Dropped" })
      yield* TestClock.adjust("20 seconds")
      peer.send(1)
      assert.isFalse(peer.isClosed)
      assert.deepStrictEqual(scene.heard(), ["alice 1"])
      assert.deepStrictEqual(scene.requests(), [])
    }))

  test("what was asked over a socket that is gone is asked again soon after the resume, unless its offer comes", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice", "bob")
      scene.requests()
      yield* scene.tell({ _tag: "Dropped" })
      yield* TestClock.adjust("1 second")
      yield* scene.tell({ _tag: "Resumed" })
      yield* scene.offer("bob", "s1")
      assert.deepStrictEqual(scene.requests(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("what was answered over a socket that is gone and is not connected is asked again soon after the resume", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.enter("bob")
      yield* scene.offer("bob", "s2")
      scene.requests()
      yield* scene.tell({ _tag: "Dropped" })
      yield* scene.tell({ _tag: "Resumed" })
      assert.isTrue(scene.peers.all[1]?.isClosed)
      assert.deepStrictEqual(scene.requests(), [])
      peer.send(1)
      yield* TestClock.adjust("1 second")
      assert.isFalse(peer.isClosed)
      assert.deepStrictEqual(scene.requests(), ["video:bob"])
    }))

  test("after a resume everything is kept, and whoever came meanwhile is asked", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.tell({ _tag: "Dropped" })
      yield* scene.tell({ _tag: "Resumed" })
      yield* scene.enter("bob")
      assert.isFalse(peer.isClosed)
      assert.deepStrictEqual(scene.requests(), ["video:bob"])
      assert.deepStrictEqual(scene.voices(), [])
    }))

  test("joined anew all peers are void: everything ends and starts from nothing", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.tell({ _tag: "Dropped" })
      scene.forgetEverybody()
      yield* scene.joinAnew
      assert.isTrue(peer.isClosed)
      assert.deepStrictEqual(scene.voices(), ["end video:alice"])
      assert.deepStrictEqual(scene.requests(), [])
      yield* scene.enter("alice-again")
      assert.deepStrictEqual(scene.requests(), ["video:alice-again"])
    }))

  test("joined anew with the same ids in the room, everybody is asked anew although requests were under way", (scene) =>
    Effect.gen(function* () {
      yield* scene.enter("alice")
      scene.requests()
      yield* scene.joinAnew
      assert.deepStrictEqual(scene.requests(), ["video:alice"])
    }))

  test("without hearing every peer is closed at once and nothing is asked or answered", (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      yield* scene.subscriptions.setHearing(false)
      assert.isTrue(peer.isClosed)
      assert.deepStrictEqual(scene.voices(), ["end video:alice"])
      yield* scene.enter("bob")
      yield* scene.offer("alice", "s2")
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(scene.requests(), [])
      assert.deepStrictEqual(scene.answers(), [])
      yield* scene.subscriptions.setHearing(true)
      assert.deepStrictEqual(scene.requests(), ["video:alice", "video:bob"])
    }))

  /** Alice is heard through a relay whose credentials end in this many minutes. */
  const relayed = (name: string, minutes: number, body: (scene: Scene) => Effect.Effect<void, unknown>) =>
    test(name, body, {
      iceServers: Effect.succeed([
        {
          urls: ["turn:turn.example.com"],
          username: `${String(minutes * 60).padStart(10, "0")}:random`,
          credential: "secret"
        }
      ])
    })
  /** Minutes until the next request while Alice sends. */
  const nextRequest = Effect.fnUntraced(function* (scene: Scene, limit: number) {
    for (let minute = 0; minute <= limit; minute++) {
      if (scene.requests().length > 0) return minute
      for (let second = 0; second < 60; second++) {
        scene.peers.all.at(-1)?.send(second)
        yield* TestClock.adjust("1 second")
      }
    }
    return undefined
  })

  relayed("a peer on a relay is replaced in a pause before its credentials end", 60, (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      peer.isRelayed = true
      scene.setSpeaking(true)
      yield* TestClock.adjust(0)
      assert.isUndefined(yield* nextRequest(scene, 54))
      scene.setSpeaking(false)
      assert.strictEqual(yield* nextRequest(scene, 5), 1)
      yield* scene.offer("alice", "s2")
      assert.isFalse(peer.isClosed)
      scene.peers.all[1]?.connect()
      yield* scene.settle
      assert.isTrue(peer.isClosed)
      assert.deepStrictEqual(scene.voices(), [])
    })
  )

  relayed("a peer on a relay is replaced when its credentials end, whether there is a pause or not", 60, (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      peer.isRelayed = true
      scene.setSpeaking(true)
      assert.strictEqual(yield* nextRequest(scene, 70), 60)
    })
  )

  relayed("credentials that end in no time do not let peers be replaced all the time", 1, (scene) =>
    Effect.gen(function* () {
      const peer = yield* aliceHeard(scene)
      peer.isRelayed = true
      assert.strictEqual(yield* nextRequest(scene, 10), 5)
    })
  )

  relayed("a peer that needs no relay stays when the credentials end", 20, (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene)
      assert.isUndefined(yield* nextRequest(scene, 40))
    })
  )

  test(
    "voices beyond the limit are counted once and heard when there is room",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice", "bob", "carol")
        yield* scene.change("carol", { inCall: talking | InCall.WITH_VIDEO })
        assert.deepStrictEqual(scene.requests(), ["video:alice", "video:bob"])
        assert.strictEqual(yield* dropped("speaker_limit"), 1)
        yield* scene.leave("alice")
        assert.deepStrictEqual(scene.requests(), ["video:carol"])
      }),
    { maxVoices: 2 }
  )

  test(
    "shared screens are asked for every 30 s, beside the microphone",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice")
        assert.deepStrictEqual(scene.requests(), ["video:alice", "screen:alice"])
        yield* scene.offer("alice", "m1")
        scene.peers.all[0]?.connect()
        yield* scene.change("alice", { muted: true })
        for (let round = 0; round < 3; round++) {
          yield* scene.fail("alice", "screen")
          yield* TestClock.adjust("29 seconds")
          assert.deepStrictEqual(scene.requests(), [])
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(scene.requests(), ["screen:alice"])
        }
        yield* scene.offer("alice", "p1", "screen")
        scene.peers.all[1]?.connect()
        scene.peers.all[1]?.send(7)
        assert.deepStrictEqual(scene.voices(), ["start video:alice", "start screen:alice"])
        assert.deepStrictEqual(scene.heard(), ["alice 7"])
      }),
    { screenShares: true }
  )

  test(
    "a shared screen that is over is closed when the HPB knows of none any more",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice")
        yield* scene.offer("alice", "p1", "screen")
        scene.peers.all[0]?.connect()
        yield* TestClock.adjust("35 seconds")
        scene.voices()
        yield* scene.fail("alice", "screen")
        assert.isTrue(scene.peers.all[0]?.isClosed)
        assert.deepStrictEqual(scene.voices(), ["end screen:alice"])
      }),
    { screenShares: true }
  )

  test(
    "screens that nobody shares take no place from voices",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice", "bob")
        assert.deepStrictEqual(scene.requests(), ["video:alice", "screen:alice", "video:bob", "screen:bob"])
        yield* scene.offer("alice", "p1", "screen")
        assert.strictEqual(scene.peers.all.length, 0)
        assert.strictEqual(yield* dropped("speaker_limit"), 1)
      }),
    { screenShares: true, maxVoices: 2 }
  )

  test(
    "peers get the ICE servers of their moment, and none when Nextcloud is slow",
    (scene) =>
      Effect.gen(function* () {
        yield* scene.enter("alice")
        yield* scene.offer("alice", "s1")
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(scene.peers.all[0]?.iceServers, [])
        assert.deepStrictEqual(scene.answers(), ["video:alice s1: answer to offer s1"])
      }),
    { iceServers: Effect.never }
  )

  test("opened peers are counted, requests are left to the signaling to count", (scene) =>
    Effect.gen(function* () {
      yield* aliceHeard(scene)
      assert.strictEqual((yield* Metric.value(Metrics.peersOpened)).count, 1)
      assert.strictEqual((yield* Metric.value(Metrics.offerRequests)).count, 0)
      assert.deepStrictEqual(scene.subscriptions.counters, {
        requests: 1,
        repeatedRequests: 0,
        offers: 1,
        renegotiations: 0,
        refused: 0
      })
    }))

  it.effect("every peer is closed with the scope", () =>
    Effect.gen(function* () {
      const scene = yield* Effect.scoped(
        Effect.gen(function* () {
          const inner = yield* SubscriptionScene.make()
          yield* inner.subscriptions.setHearing(true)
          yield* aliceHeard(inner)
          assert.strictEqual(inner.peers.open().length, 1)
          return inner
        })
      )
      assert.strictEqual(scene.peers.open().length, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
