/** Promise 9, for calls: by their room, by the request, and from the moment on in which somebody asks for it. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, type Scope } from "effect"
import { Everyone, RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as InProcessCalls from "../../src/layers/InProcessCalls.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import type { SimulatedSpeaker } from "../../src/layers/SimulatedSpeaker.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import { Calls } from "../../src/services/Calls.ts"
import { Engines } from "../../src/services/Engines.ts"
import { until } from "../support/CallScene.ts"
import { type Placed, place } from "../support/EngineTable.ts"

const ward = RoomToken.make("ward")
const wish = { room: ward, viewer: Everyone, language: defaultLanguage }
/** ms; real speech. */
const patience = 120_000

interface Scene {
  readonly calls: Calls["Service"]
  readonly ada: SimulatedSpeaker
  /** What was logged. */
  readonly lines: ReadonlyArray<string>
  readonly advice: Effect.Effect<string | undefined>
}

/** Ada speaks in a call that these engines may caption. */
const scene = Effect.fnUntraced(function* (
  engines: ReadonlyArray<{ readonly configured: Engines["Service"][number] }>,
  localOnlyRooms: ReadonlyArray<RoomToken> = []
): Effect.fn.Return<Scene, unknown, Scope.Scope> {
  const lines: Array<string> = []
  const hpb = yield* TalkSimulator.make()
  const transcriber = EngineTranscriber.layer.pipe(
    Layer.provide(
      Layer.succeed(
        Engines,
        engines.map(({ configured }) => configured)
      )
    )
  )
  const layer = InProcessCalls.layer({ localOnlyRooms }).pipe(
    Layer.provide([
      SpreedSignaling.layer({
        hpbUrl: hpb.url,
        internalSecret: hpb.internalSecret,
        backendUrls: Effect.succeed(["http://127.0.0.1/"])
      }),
      transcriber,
      TalkTranscriptSink.layer(),
      WeriftPeerConnection.layer({ hostAddresses: ["127.0.0.1"] }),
      OpusDecoder.layer,
      NoNextcloud.layer
    ]),
    Layer.provide(Logger.layer([Logger.make(({ message }) => lines.push(String(message)))]))
  )
  const ada = yield* hpb.addSpeaker({ name: "Ada", room: ward })
  const calls = Context.get(yield* Layer.build(layer), Calls)
  return { lines, calls, ada, advice: Effect.map(calls.list, ([call]) => call?.advice) }
})

const speaks = (ada: SimulatedSpeaker, ...words: ReadonlyArray<number>) =>
  ada.say(ToneModem.speak(words, { speaker: 1, sampleRate: 48_000 }).pcm)
const heardBy = (calls: Calls["Service"]) => until(() => Effect.map(calls.list, ([call]) => call?.speakers === 1))
const away: Placed = { capabilities: { local: false } }

describe("a call that must not leave this machine", () => {
  it.live(
    "has no captions where no engine is on it, says so, and opens nothing",
    () =>
      Effect.gen(function* () {
        const far = yield* place("far", { ...away, probe: Effect.die(new Error("it was asked")) })
        const { ada, advice, calls, lines } = yield* scene([far], [ward])
        yield* calls.start(wish)
        yield* heardBy(calls)
        yield* speaks(ada, 1, 2, 3)
        assert.include(yield* advice, "no speech engine is on this machine")
        assert.lengthOf(
          lines.filter((line) => line.includes("no speech engine is on this machine")),
          1
        )
        assert.strictEqual(far.director.attempts(), 0)
      }),
    patience
  )

  it.live(
    "is heard on it from the moment on in which somebody asks for that",
    () =>
      Effect.gen(function* () {
        const far = yield* place("far", away)
        const near = yield* place("near", { role: "Cover" })
        const { ada, advice, calls } = yield* scene([far, near])
        yield* calls.start(wish)
        yield* heardBy(calls)
        yield* speaks(ada, 1, 2)
        const before = yield* far.director.session(0)
        assert.isAbove(before.heard(), 0)
        yield* calls.start({ ...wish, privacy: "local-only" })
        yield* until(() => Effect.sync(before.closed))
        yield* heardBy(calls)
        const heard = before.heard()
        yield* speaks(ada, 3, 4)
        yield* until(() => Effect.sync(() => (near.director.sessions()[0]?.heard() ?? 0) > 10))
        // nobody becomes less strict while the call runs
        yield* calls.start({ ...wish, privacy: "any" })
        yield* speaks(ada, 5)
        assert.strictEqual(far.director.attempts(), 1)
        assert.strictEqual(before.heard(), heard)
        assert.isUndefined(yield* advice)
      }),
    patience
  )
})

describe("an engine that sleeps", () => {
  it.live(
    "is woken when captions are asked for, before anyone speaks",
    () =>
      Effect.gen(function* () {
        let woken = 0
        const far = yield* place("far", {
          ...away,
          probe: Effect.sync(() => {
            woken += 1
          })
        })
        const { calls } = yield* scene([far])
        yield* calls.start(wish)
        yield* until(() => Effect.sync(() => woken > 0))
        assert.strictEqual(far.director.attempts(), 0)
      }),
    patience
  )
})
