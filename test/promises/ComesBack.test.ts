import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as CallScene from "../support/CallScene.ts"
import * as RunnersScene from "../support/RunnersScene.ts"
import * as Standstill from "../support/Standstill.ts"

/** ms; real sockets, real speech. */
const patience = 400_000

/** Everything Ada said stands on the page, once and in order; waits for it. */
const isRead = (scene: CallScene.CallScene, words: ReadonlyArray<number>) =>
  CallScene.until(() => Effect.sync(() => scene.read().length >= words.length)).pipe(
    Effect.timeoutOption("60 seconds"),
    Effect.andThen(Effect.sync(() => assert.deepStrictEqual(scene.read(), words)))
  )

/**
 * Says words until one is read, and then some that are all read: what is said before it is noticed nobody can hear, and until then nothing shows
 * that it has not been noticed.
 */
const isHeardAgain = Effect.fnUntraced(function* (scene: CallScene.CallScene, saidBefore: number) {
  let said = saidBefore
  yield* Effect.suspend(() => scene.say(said++, 1)).pipe(
    Effect.delay("300 millis"),
    Effect.repeat({ until: () => scene.read().length > saidBefore }),
    Effect.timeout("60 seconds")
  )
  yield* RunnersScene.untilStill(() => scene.read().length)
  const before = scene.read().filter((word) => word !== undefined)
  yield* isRead(scene, [...before, ...(yield* scene.say(said, 6))])
})

describe("captions come back by themselves", () => {
  it.live(
    "in mid-speech, when the websocket to the HPB is cut",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        yield* Effect.forkScoped(Effect.andThen(Effect.sleep("2500 millis"), Effect.sync(scene.hpb.dropSockets)))
        yield* isRead(scene, yield* scene.say(0, 16))
        assert.strictEqual(scene.reader.rewritings(), 0)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "after the HPB was restarted and people came back with new sessions",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        const before = yield* scene.say(0, 4)
        yield* isRead(scene, before)
        yield* scene.hpb.restart(500)
        yield* isHeardAgain(scene, before.length)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "after Janus was restarted, of which no message tells",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        const before = yield* scene.say(0, 4)
        yield* isRead(scene, before)
        yield* scene.hpb.restartMedia(500)
        yield* isHeardAgain(scene, before.length)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "after the microphone was published anew, of which no message tells",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        yield* isRead(scene, yield* scene.say(0, 4))
        scene.ada.republish("silently")
        yield* isHeardAgain(scene, 4)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when the speaker leaves the call and comes back twice in a second",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        const before = yield* scene.say(0, 4)
        yield* isRead(scene, before)
        for (let times = 0; times < 2; times++) {
          scene.ada.leaveCall()
          yield* Effect.sleep("250 millis")
          scene.ada.comeBack()
          yield* Effect.sleep("250 millis")
        }
        yield* CallScene.until(() => Effect.map(scene.calls.list, ([call]) => call?.speakers === 1))
        yield* isRead(scene, [...before, ...(yield* scene.say(4, 6))])
        yield* CallScene.until(() => Effect.sync(() => scene.engine.counters().active <= 1))
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when the engine's sessions break: what is said afterwards is captioned",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        const before = yield* scene.say(0, 4)
        yield* isRead(scene, before)
        scene.engine.control({ _tag: "Kill", how: "crash" })
        yield* isRead(scene, [...before, ...(yield* scene.say(4, 6))])
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "with what was said while a cold engine started",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make({ coldStartMs: 4_000 })
        yield* isRead(scene, yield* scene.say(0, 10))
      }).pipe(Standstill.played),
    patience
  )
})

describe("nothing is left behind", () => {
  const isGone = (scene: CallScene.CallScene) =>
    CallScene.until(() => Effect.map(scene.calls.list, (all) => all.length === 0)).pipe(
      Effect.andThen(Effect.sync(() => assert.strictEqual(scene.hpb.servicesIn(CallScene.room), 0))),
      Effect.andThen(CallScene.until(() => Effect.sync(() => scene.engine.counters().active === 0)))
    )

  it.live(
    "when a moderator ends the call",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        scene.hpb.endCall(CallScene.room)
        yield* isGone(scene)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when the conversation is deleted",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make()
        scene.hpb.deleteRoom(CallScene.room)
        yield* isGone(scene)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when the last viewer has gone: nothing is heard from that moment, the room is left later",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make({ presence: { absenceMs: 2_000, graceMs: 1_000 } })
        yield* isRead(scene, yield* scene.say(0, 3))
        scene.viewerLeaves()
        yield* CallScene.until(() => Effect.map(scene.calls.list, ([call]) => call?.speakers === 0))
        assert.strictEqual(scene.hpb.servicesIn(CallScene.room), 1)
        yield* isGone(scene)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "unless somebody asks again while it is about to leave",
    () =>
      Effect.gen(function* () {
        const scene = yield* CallScene.make({ presence: { graceMs: 1_000 } })
        yield* scene.calls.stop(CallScene.room, scene.viewer)
        yield* CallScene.until(() => Effect.map(scene.calls.list, ([call]) => call?.speakers === 0))
        yield* scene.calls.start({ room: CallScene.room, viewer: scene.viewer, language: defaultLanguage })
        yield* CallScene.until(() => Effect.map(scene.calls.list, ([call]) => call?.speakers === 1))
        yield* isRead(scene, yield* scene.say(0, 3))
      }).pipe(Standstill.played),
    patience
  )
})
