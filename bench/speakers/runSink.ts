/**
 * A speech engine without ears as a process of its own: it speaks Kyutai's protocol, says a word for every 360 ms that are not silent, half a
 * second of audio later, and writes down what came when. Tells its parent where it is; whatever the parent says is answered by the log.
 */
import { Effect, FiberSet } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { FRAME_SAMPLES, samplesOfMs } from "../../src/domain/Audio.ts"
import * as LocalServer from "../../src/layers/LocalServer.ts"
import { say } from "../process/Channel.ts"
import { loudnessOf, QUIETEST } from "./Material.ts"
import { SinkLog, SinkReady } from "./Wire.ts"

/** As fast as people talk: 2.8 words a second. */
const WORD = samplesOfMs(360)
/** The model's delay. */
const DELAY = samplesOfMs(500)
const PART = FRAME_SAMPLES / 4
/** None is like the one before it, as when people talk: where a session follows another, words are compared. */
const token = (n: number) => JSON.stringify({ type: "token", text: `word${n}` })

interface Session {
  readonly atMs: Array<number>
  readonly loudness: Array<number>
}

const serve = (socket: WebSocket): Session => {
  const session: Session = { atMs: [], loudness: [] }
  let heard = 0
  let sounding = 0
  let words = 0
  const wordsDue: Array<number> = []
  socket.on("error", () => {})
  socket.on("message", (data, isBinary) => {
    const atMs = performance.timeOrigin + performance.now()
    if (!isBinary || !Buffer.isBuffer(data) || data.length % 4 !== 0) return socket.close(1000)
    if (data.length === 0) return
    const pcm = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length))
    let isSound = false
    session.atMs.push(atMs)
    for (let from = 0; from < FRAME_SAMPLES; from += PART) {
      const loudness = from < pcm.length ? loudnessOf(pcm, from, Math.min(pcm.length, from + PART)) : QUIETEST
      session.loudness.push(loudness)
      isSound ||= loudness < QUIETEST
    }
    heard += pcm.length
    if (isSound) sounding += pcm.length
    for (; sounding >= WORD; sounding -= WORD) wordsDue.push(heard + DELAY)
    for (; (wordsDue[0] ?? Number.POSITIVE_INFINITY) <= heard; wordsDue.shift()) socket.send(token(words++))
  })
  return session
}

const run = Effect.gen(function* () {
  const sessions: Array<Session> = []
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const port = yield* LocalServer.listen(0, {
    onRequest: (_request, response) => LocalServer.respond(response, 200, { status: "healthy" }),
    onUpgrade: (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (opened) => sessions.push(serve(opened)))
  })
  const fork = yield* FiberSet.makeRuntime<never, void>()
  process.on("message", () => {
    const log = sessions.map(({ atMs, loudness }) => ({
      atMs: Float64Array.from(atMs),
      loudness: Uint8Array.from(loudness)
    }))
    fork(say(SinkLog.make({ sessions: log })))
  })
  yield* say(SinkReady.make({ url: `ws://127.0.0.1:${port}/v1/stream` }))
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(run))
