/**
 * A whole call in this process: the real service behind a simulated HPB, speakers over real WebRTC, an engine over a real websocket.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import * as Reader from "../../demo/Reader.ts"
import { type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as CallPresence from "../../src/layers/CallPresence.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as InProcessCalls from "../../src/layers/InProcessCalls.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import type { SimulatedSpeaker } from "../../src/layers/SimulatedSpeaker.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import { Calls } from "../../src/services/Calls.ts"

export const room = RoomToken.make("scene")

export interface CallScene {
  readonly hpb: TalkSimulator.Simulation
  readonly engine: KyutaiSimulator.KyutaiSimulator
  readonly calls: Calls["Service"]
  readonly ada: SimulatedSpeaker
  readonly viewer: Intent["viewer"]
  /** What the viewer's page shows. */
  readonly reader: Reader.Reader
  /** Ada says words; gives them back. */
  readonly say: (first: number, count: number) => Effect.Effect<ReadonlyArray<number>>
  /** What Ada is shown to have said. */
  readonly read: () => ReadonlyArray<number | undefined>
  readonly viewerLeaves: () => void
}

/** Ada speaks, Vera has asked for captions, the service hears. */
export const make = Effect.fnUntraced(function* (
  options: { readonly coldStartMs?: number; readonly presence?: Partial<CallPresence.PresenceLimits> } = {}
): Effect.fn.Return<CallScene, unknown, Scope.Scope> {
  const hpb = yield* TalkSimulator.make()
  const engine = yield* KyutaiSimulator.make({ coldStartMs: options.coldStartMs ?? 0 })
  const socket = SocketModalClient.layer({ url: { _tag: "Direct", url: engine.url } })
  const layer = InProcessCalls.layer({ presence: { ...CallPresence.defaultLimits, ...options.presence } }).pipe(
    Layer.provide([
      SpreedSignaling.layer({
        hpbUrl: hpb.url,
        internalSecret: hpb.internalSecret,
        backendUrls: Effect.succeed(["http://127.0.0.1/"])
      }),
      EngineTranscriber.layer.pipe(
        Layer.provide(ConfiguredEngines.single),
        Layer.provide(ModalEngine.layer),
        Layer.provide(socket)
      ),
      TalkTranscriptSink.layer(),
      WeriftPeerConnection.layer({ hostAddresses: ["127.0.0.1"] }),
      OpusDecoder.layer,
      NoNextcloud.layer
    ])
  )
  const ada = yield* hpb.addSpeaker({ name: "Ada", room })
  const vera = yield* hpb.addViewer({ name: "Vera", room })
  const known = new Set([ada.sessionId()])
  const reader = Reader.make(vera, () => [...known.add(ada.sessionId())])
  const viewer = participant(NextcloudSessionId.make(vera.nextcloudSession()))
  const calls = Context.get(yield* Layer.build(layer), Calls)
  yield* calls.start({ room, viewer, language: defaultLanguage })
  yield* until(() => Effect.map(calls.list, ([call]) => call?.speakers === 1))
  return {
    hpb,
    engine,
    calls,
    ada,
    viewer,
    reader,
    say: Effect.fnUntraced(function* (first: number, count: number) {
      const words = Array.from({ length: count }, (_, n) => first + n)
      yield* ada.say(ToneModem.speak(words, { speaker: 1, sampleRate: 48_000, firstSequence: first % 16 }).pcm)
      return words
    }),
    read: () => reader.words().flatMap(({ speaker, word }) => (known.has(speaker) ? [word] : [])),
    viewerLeaves: vera.leave
  }
})

/** Waits for what does not come with an event. */
export const until = (condition: () => Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.suspend(condition).pipe(Effect.delay("20 millis"), Effect.repeat({ until: (isSo) => isSo }), Effect.asVoid)
