/** ModalClient, ModalEngine and EngineTranscriber together, over a real socket to a server with Kyutai's manners. */
import { assert, describe, it } from "@effect/vitest"
import { type Cause, Deferred, Effect, Fiber, Layer, Queue, Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { isFinal, textOf } from "../../src/domain/Segment.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import { segments, Transcriber } from "../../src/services/Transcriber.ts"

/** Says one word per frame that is not silence; after the third hangs up with 1000 and no reason, as today's server does. */
const manners = (connection: number, ws: WebSocket) => {
  let words = 0
  ws.on("message", (data) => {
    if (!Buffer.isBuffer(data) || data.length === 0 || data.readFloatLE(0) === 0) return
    words += 1
    ws.send(JSON.stringify({ type: "token", text: `c${connection}w${words}` }))
    if (connection === 1 && words === 3) ws.close(1000)
  })
}

const server = Effect.acquireRelease(
  Effect.callback<{ url: string; close: (done: () => void) => void }>((resume) => {
    const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
      const address = wss.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      const close = (done: () => void) => {
        for (const client of wss.clients) client.terminate()
        wss.close(done)
      }
      resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, close }))
    })
    let connections = 0
    wss.on("connection", (ws) => {
      connections += 1
      manners(connections, ws)
    })
  }),
  ({ close }) => Effect.callback<void>((resume) => close(() => resume(Effect.void)))
)

describe("Kyutai over a socket", () => {
  it.live("a server that hangs up with 1000 costs no frame that was not sent to it", () =>
    Effect.gen(function* () {
      const { url } = yield* server
      const layer = EngineTranscriber.layer.pipe(
        Layer.provide(ConfiguredEngines.single),
        Layer.provide(ModalEngine.layer),
        Layer.provide(SocketModalClient.layer({ url: { _tag: "Direct", url } }))
      )
      const transcriber = yield* Transcriber.pipe(Effect.provide(layer))
      const frames = yield* Queue.bounded<AudioFrame, Cause.Done>(64)
      const finals: Array<string> = []
      const lost = yield* Deferred.make<void>()
      const reading = yield* segments(
        transcriber.transcribe({
          id: "v",
          frames: Stream.fromQueue(frames),
          replay: () => [],
          language: () => defaultLanguage
        })
      ).pipe(
        Stream.runForEach((state) =>
          Effect.sync(() => {
            if (isFinal(state)) finals.push(`${textOf(state)} (${state.final})`)
            if (state.final === "EngineLost") Deferred.doneUnsafe(lost, Effect.void)
          })
        ),
        Effect.forkScoped
      )
      const speak = (index: number) =>
        Queue.offer(frames, {
          position: index * FRAME_SAMPLES,
          pcm: new Float32Array(FRAME_SAMPLES).fill(0.1),
          heardAtMs: 0,
          endsSpeech: false
        })
      for (let index = 0; index < 3; index++) yield* speak(index)
      yield* Deferred.await(lost)
      for (let index = 3; index < 6; index++) yield* speak(index)
      yield* Queue.end(frames)
      yield* Fiber.join(reading)
      assert.deepStrictEqual(finals, ["c1w1 c1w2 c1w3 (EngineLost)", "c2w1 c2w2 c2w3 (StreamEnd)"])
    })
  )
})
