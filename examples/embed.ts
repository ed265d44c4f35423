/** Captions of every call in which somebody asked for them, in a program of your own. */
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import * as Parlance from "parlance"

const engine = Parlance.ModalEngine.layer.pipe(
  Layer.provide(Parlance.SocketModalClient.layer({ url: { _tag: "Direct", url: "ws://localhost:8000" } }))
)
const captions = Parlance.InProcessCalls.layer().pipe(
  Layer.provide([
    Parlance.SpreedSignaling.layer({
      hpbUrl: "wss://cloud.example.com/standalone-signaling",
      internalSecret: Redacted.make("…"),
      backendUrls: Effect.succeed(["https://cloud.example.com/"])
    }),
    Parlance.EngineTranscriber.layer.pipe(Layer.provide(Parlance.ConfiguredEngines.single), Layer.provide(engine)),
    Layer.succeed(
      Parlance.TranscriptSink,
      Parlance.each(({ segment, speakerName }) => {
        if (Parlance.isFinal(segment)) process.stdout.write(`${speakerName ?? "?"}: ${Parlance.textOf(segment)}\n`)
      })
    ),
    Parlance.WeriftPeerConnection.layer(),
    Parlance.OpusDecoder.layer,
    Parlance.NoNextcloud.layer
  ])
)
const runtime = ManagedRuntime.make(captions)
const room = Parlance.RoomToken.make("abc123")
await runtime.runPromise(
  Parlance.Calls.use((calls) => calls.start({ room, viewer: Parlance.Everyone, language: Parlance.defaultLanguage }))
)
process.once("SIGINT", () => void runtime.dispose())
