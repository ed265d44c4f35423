/** A call on a simulated HPB, heard and transcribed in this process; captions are taken by a function. Runs without any server. */
import { Deferred, Effect, Layer } from "effect"
import * as Parlance from "parlance"
import { speak } from "parlance/layers/ToneModem"

const room = Parlance.RoomToken.make("embedded")

const program = Effect.gen(function* () {
  const hpb = yield* Parlance.TalkSimulator.make()
  const said = yield* Deferred.make<string>()
  const sink = Parlance.each(({ segment }) => {
    if (Parlance.isFinal(segment)) Deferred.doneUnsafe(said, Effect.succeed(Parlance.textOf(segment)))
  })
  const calls = Parlance.InProcessCalls.layer().pipe(
    Layer.provide([
      Parlance.SpreedSignaling.layer({
        hpbUrl: hpb.url,
        internalSecret: hpb.internalSecret,
        backendUrls: Effect.succeed(["http://127.0.0.1/"])
      }),
      Parlance.EngineTranscriber.layer.pipe(
        Layer.provide(Parlance.ConfiguredEngines.single),
        Layer.provide(Parlance.ScriptedEngine.layer(Parlance.ScriptedEngine.sayEvery(4, ["hello", "world"])))
      ),
      Layer.succeed(Parlance.TranscriptSink, sink),
      Parlance.WeriftPeerConnection.layer(),
      Parlance.OpusDecoder.layer,
      Parlance.NoNextcloud.layer
    ])
  )
  return yield* Effect.gen(function* () {
    const speaker = yield* hpb.addSpeaker({ name: "Ada", room })
    yield* (yield* Parlance.Calls).start({ room, viewer: Parlance.Everyone, language: Parlance.defaultLanguage })
    yield* Effect.forkScoped(speaker.say(speak([1, 2, 3, 4], { speaker: 1, sampleRate: 48_000, firstSequence: 0 }).pcm))
    return yield* Deferred.await(said).pipe(Effect.timeout("20 seconds"))
  }).pipe(Effect.provide(calls))
}).pipe(Effect.scoped)

process.stdout.write(`${await Effect.runPromise(program)}\n`)
