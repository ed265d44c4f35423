/** Of our sessions in a room only the one with the highest rank sends captions: by the rules alone, over real sockets, and after a frozen process wakes. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, References, Stream } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import { Incarnation, type Rank } from "../../src/domain/Seat.ts"
import type { HpbVersion } from "../../src/layers/SimulatedProtocol.ts"
import * as SpreedFence from "../../src/layers/SpreedFence.ts"
import { type RankMessage, sealer } from "../../src/layers/SpreedRank.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import { Signaling, type SignalingEvent } from "../../src/services/Signaling.ts"
import { until } from "../support/Until.ts"

const room = RoomToken.make("fenced")
const rankOf = (epoch: number, name = "a"): Rank => ({ epoch, incarnation: Incarnation.make(name) })

/** Fences in one room, and the messages between them in a test's hands. */
const network = (secret = "shared") => {
  let nowMs = 0
  const under: Array<{ readonly to: SessionId; readonly from: SessionId; readonly message: RankMessage }> = []
  const fences = new Map<SessionId, SpreedFence.SpreedFence>()
  const outranked: Array<string> = []
  const rosterOf = (self: SessionId) => ({
    self,
    participants: new Map(
      [...fences.keys()].map((session) => [session, { session, inCall: 0, internal: true, virtual: false }] as const)
    )
  })
  const follow = () => {
    for (const fence of fences.values()) fence.follow(nowMs)
  }
  const enter = (name: string, rank: Rank, known = secret) => {
    const self = SessionId.make(name)
    const fence = SpreedFence.make({
      ...sealer(Redacted.make(known), room),
      rank: () => rank,
      roster: () => rosterOf(self),
      send: (to, message) => under.push({ to, from: self, message }) > 0,
      onOutranked: () => outranked.push(name),
      onDoubt: () => {}
    })
    fences.set(self, fence)
    fence.doubt(nowMs)
    follow()
    return { fence, prove: () => fence.proven(fence.doubts()), may: () => !fence.isMuted(nowMs) }
  }
  return {
    enter,
    outranked,
    /** All messages arrive, and those that answer them. */
    deliver: () => {
      for (let one = under.shift(); one !== undefined; one = under.shift())
        fences.get(one.to)?.take(one.from, one.message)
    },
    lose: () => under.splice(0).length,
    sent: () => under.length,
    wait: (ms: number) => {
      for (const endMs = nowMs + ms; nowMs < endMs; ) {
        nowMs += 250
        for (const fence of fences.values()) fence.tick(nowMs)
      }
    },
    /** Time passes and nothing here runs. */
    freeze: (ms: number) => {
      nowMs += ms
    }
  }
}

describe("the rules", () => {
  it("the higher epoch counts, and of equal ones the higher incarnation, whoever came first", () => {
    for (const [first, second, loser] of [
      [rankOf(1), rankOf(2), "first"],
      [rankOf(2), rankOf(1), "second"],
      [rankOf(1, "a"), rankOf(1, "b"), "first"],
      [rankOf(1, "b"), rankOf(1, "a"), "second"]
    ] as const) {
      const { deliver, enter, outranked, wait } = network()
      const one = enter("first", first)
      one.prove()
      assert.isTrue(one.may())
      const other = enter("second", second)
      other.prove()
      assert.isFalse(other.may(), "before it was answered")
      deliver()
      wait(1_000)
      deliver()
      assert.deepStrictEqual(outranked, [loser])
      assert.strictEqual(one.may(), loser === "second")
      assert.strictEqual(other.may(), loser === "first")
    }
  })

  it("a message that is lost is said again", () => {
    for (let lost = 1; lost <= 3; lost++) {
      const { deliver, enter, lose, outranked, wait } = network()
      enter("first", rankOf(1)).prove()
      enter("second", rankOf(2)).prove()
      for (let n = 0; n < lost; n++) {
        assert.isAbove(lose(), 0)
        wait(8_000)
      }
      deliver()
      assert.deepStrictEqual(outranked, ["first"])
    }
  })

  it("who does not answer is waited for half a second, and asked ever more rarely", () => {
    const { enter, lose, sent, wait } = network()
    const one = enter("first", rankOf(1))
    enter("recorder", rankOf(9))
    one.prove()
    lose()
    assert.isFalse(one.may())
    wait(500)
    assert.isTrue(one.may())
    lose()
    wait(120_000)
    assert.isBelow(sent(), 2 * 32)
  })

  it("nobody without the secret silences us", () => {
    const { deliver, enter, outranked, wait } = network()
    const one = enter("first", rankOf(1))
    one.prove()
    enter("stranger", rankOf(99), "guessed").prove()
    deliver()
    wait(3_000)
    deliver()
    assert.deepStrictEqual(outranked, [])
    assert.isTrue(one.may())
  })

  it("who stood still for more than two seconds says nothing before a round trip", () => {
    const { enter, freeze, wait } = network()
    const one = enter("first", rankOf(1))
    one.prove()
    wait(10_000)
    freeze(1_900)
    assert.isTrue(one.may())
    freeze(2_100)
    assert.isFalse(one.may())
    wait(5_000)
    assert.isFalse(one.may(), "without a round trip")
    one.prove()
    assert.isTrue(one.may())
  })
})

const layerOf = ({ internalSecret, url }: TalkSimulator.Simulation) =>
  SpreedSignaling.layer({ hpbUrl: url, internalSecret, backendUrls: Effect.succeed(["http://127.0.0.1/"]) })

const join = (hpb: TalkSimulator.Simulation, rank?: () => Rank | undefined) =>
  Effect.gen(function* () {
    const session = yield* (yield* Signaling).join(room, rank)
    const events: Array<SignalingEvent> = []
    yield* session.events.pipe(
      Stream.runForEach((event) => Effect.sync(() => events.push(event))),
      Effect.forkScoped
    )
    yield* until(() => session.state()._tag === "Joined")
    return {
      session,
      may: () => session.fence?.isMuted() === false,
      isOutranked: () => events.some(({ _tag }) => _tag === "Outranked"),
      say: (message: string, speakerSessionId: string) =>
        session.sendTranscript(
          { _tag: "Call" },
          { message, langId: "en", speakerSessionId: SessionId.make(speakerSessionId), final: true }
        )
    }
  }).pipe(Effect.provide(layerOf(hpb)), Effect.provideService(References.MinimumLogLevel, "None"))

describe("over sockets", () => {
  for (const version of ["0.4.1", "1.2.4", "2.0.2"] satisfies ReadonlyArray<HpbVersion>) {
    it.live(`one goes, the other stays, and a spare place is nobody's rival (HPB ${version})`, () =>
      Effect.gen(function* () {
        const hpb = yield* TalkSimulator.make({ version })
        const viewer = yield* hpb.addViewer({ name: "Vera", room })
        const first = yield* join(hpb, () => rankOf(5))
        yield* until(first.may)
        yield* join(hpb)
        assert.isTrue(first.may())
        const late = yield* join(hpb, () => rankOf(4, "z"))
        yield* until(late.isOutranked)
        assert.isTrue(first.may())
        assert.isFalse(late.may())
        let isAnnounced = false
        const silent = yield* join(hpb, () => (isAnnounced ? rankOf(6) : undefined))
        yield* Effect.sleep("700 millis")
        assert.isTrue(first.may() && !silent.may())
        isAnnounced = true
        silent.session.fence?.announce()
        yield* until(first.isOutranked)
        yield* until(silent.may)
        assert.isFalse(first.say("no", viewer.sessionId()))
      }).pipe(Effect.scoped)
    )
  }

  it.live("a socket that was cut proves first that nobody else counts", () =>
    Effect.gen(function* () {
      const hpb = yield* TalkSimulator.make()
      const first = yield* join(hpb, () => rankOf(1))
      yield* until(first.may)
      hpb.dropSockets()
      const second = yield* join(hpb, () => rankOf(2))
      yield* until(second.may)
      yield* until(first.isOutranked)
      assert.isFalse(first.may())
    }).pipe(Effect.scoped)
  )
})

const speaker = fileURLToPath(new URL("../support/FencedSpeaker.ts", import.meta.url))

describe("a process that was frozen", () => {
  it.live("says nothing more when another has taken its room, and goes on when nobody has", () =>
    Effect.gen(function* () {
      const hpb = yield* TalkSimulator.make()
      const viewer = yield* hpb.addViewer({ name: "Vera", room })
      const process = spawn("node", [
        speaker,
        hpb.url,
        Redacted.value(hpb.internalSecret),
        room,
        viewer.sessionId(),
        "1"
      ])
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill("SIGKILL")))
      let said = ""
      process.stdout.on("data", (text) => {
        said += text
      })
      const captions = () => viewer.captions().length
      yield* until(() => captions() > 10)

      process.kill("SIGSTOP")
      yield* Effect.sleep("2500 millis")
      const before = captions()
      process.kill("SIGCONT")
      yield* until(() => captions() > before + 10)

      process.kill("SIGSTOP")
      yield* Effect.sleep("300 millis")
      const second = yield* join(hpb, () => rankOf(2))
      yield* until(second.may)
      assert.isTrue(second.say("parent", viewer.sessionId()))
      yield* until(() => viewer.captions().some(({ message }) => message === "parent"))
      yield* Effect.sleep("2500 millis")
      process.kill("SIGCONT")
      yield* until(() => said.includes("outranked"))
      yield* Effect.sleep("300 millis")
      const behind = viewer.captions().slice(viewer.captions().findIndex(({ message }) => message === "parent") + 1)
      assert.deepStrictEqual(behind, [])
      process.kill("SIGKILL")
      yield* Effect.promise(() => once(process, "exit"))
    }).pipe(Effect.scoped)
  )
})
