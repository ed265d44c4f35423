import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, type Scope } from "effect"
import { WebSocket } from "ws"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { until } from "../support/Until.ts"

interface Client {
  readonly socket: WebSocket
  readonly texts: Array<string>
  readonly send: (pcm: Float32Array) => void
  readonly closed: Promise<number>
}

const connect = Effect.fnUntraced(function* (url: string): Effect.fn.Return<Client, Error, Scope.Scope> {
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocket(url).on("error", () => {})),
    (open) => Effect.sync(() => open.terminate())
  )
  const texts: Array<string> = []
  const closed = new Promise<number>((done) => socket.on("close", done))
  const send = (pcm: Float32Array) => socket.send(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength))
  socket.on("message", (data) => texts.push(String(data)))
  return yield* Effect.callback<Client, Error>((resume) => {
    socket.on("open", () => resume(Effect.succeed({ socket, texts, send, closed })))
    socket.on("error", (error) => resume(Effect.fail(error)))
  })
})

const token = (text: string) => JSON.stringify({ type: "token", text })
const silence = (ms: number) => new Float32Array(ms * 24)
const say = (words: ReadonlyArray<number>) => ToneModem.speak(words, { speaker: 9, sampleRate: 24_000 }).pcm

describe("KyutaiSimulator", () => {
  it.live("tells each word once, without spaces, when half a second of audio has followed it", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make()
      const client = yield* connect(kyutai.url)
      client.send(say([11, 22, 33]))
      // 60 ms lead and two words of 360 ms lie behind the first: its delay is over, the others' are not.
      yield* until(() => client.texts.length > 0)
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(client.texts, [token(wordText(11))])
      for (let i = 0; i < 10; i++) client.send(silence(77))
      yield* until(() => client.texts.length === 3)
      assert.deepStrictEqual(client.texts, [11, 22, 33].map(wordText).map(token))
      const log = kyutai.log()
      assert.deepStrictEqual(
        log.map(({ sequence, speaker, word }) => [word, speaker, sequence]),
        [
          [11, 9, 0],
          [22, 9, 1],
          [33, 9, 2]
        ]
      )
      for (const told of log) assert.isAtLeast(told.tokenSentAtMs, told.audioArrivedAtMs)
      assert.closeTo(Date.now(), log[0]?.tokenSentAtMs ?? 0, 10_000)
    })
  )

  it.live("ends a session with 1000 after a text message, half a sample, or too long without audio", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make({ idleCloseMs: 150 })
      const texting = yield* connect(kyutai.url)
      texting.socket.send("EOS")
      const unaligned = yield* connect(kyutai.url)
      unaligned.socket.send(Buffer.alloc(7))
      const idle = yield* connect(kyutai.url)
      const closes = yield* Effect.promise(() => Promise.all([texting.closed, unaligned.closed, idle.closed]))
      assert.deepStrictEqual(closes, [1000, 1000, 1000])
      const kept = yield* connect(kyutai.url)
      for (let i = 0; i < 6; i++) {
        kept.socket.send(Buffer.alloc(0))
        yield* Effect.sleep("50 millis")
      }
      assert.strictEqual(kept.socket.readyState, WebSocket.OPEN)
    })
  )

  it.live("makes the first wait for the container and nobody after it", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make({ coldStartMs: 3000 })
      const [cold] = yield* Effect.timed(connect(kyutai.url))
      const [warm] = yield* Effect.timed(connect(kyutai.url))
      assert.isAtLeast(Duration.toMillis(cold), 2995)
      assert.isBelow(Duration.toMillis(warm), 2995)
    })
  )

  it.live("refuses, breaks and stays silent when told to", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make()
      const behave = (as: KyutaiSimulator.Behaviour) =>
        Effect.promise(() =>
          fetch(`${kyutai.httpUrl}/control`, { method: "POST", body: JSON.stringify({ _tag: "Behave", as }) })
        )
      yield* behave("refuse")
      assert.include((yield* Effect.flip(connect(kyutai.url))).message, "401")
      yield* behave("unavailable")
      assert.include((yield* Effect.flip(connect(kyutai.url))).message, "503")
      yield* behave("close")
      assert.strictEqual(yield* Effect.promise(() => connectAndClose(kyutai.url)), 1000)
      yield* behave("neverOpen")
      assert.strictEqual((yield* Effect.exit(Effect.timeout(connect(kyutai.url), "200 millis")))._tag, "Failure")
      yield* behave("serve")
      const client = yield* connect(kyutai.url)
      yield* behave("silent")
      client.send(say([1]))
      client.send(silence(1000))
      yield* until(() => kyutai.counters().audioSeconds > 1)
      assert.deepStrictEqual(client.texts, [])
      kyutai.control({ _tag: "Kill", how: "crash" })
      assert.strictEqual(yield* Effect.promise(() => client.closed), 1006)
      assert.strictEqual(kyutai.counters().refused, 2)
    })
  )

  it.live("stalls and half-opens those who are connected, and serves who comes later", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make()
      const control = (change: KyutaiSimulator.Control) =>
        Effect.promise(() => fetch(`${kyutai.httpUrl}/control`, { method: "POST", body: JSON.stringify(change) }))
      const pings = { answered: 0 }
      const connected = Effect.fnUntraced(function* () {
        const client = yield* connect(kyutai.url)
        client.socket.on("pong", () => pings.answered++)
        return client
      })
      const stalled = yield* connected()
      yield* control({ _tag: "Stall" })
      stalled.send(say([1]))
      stalled.send(silence(1000))
      stalled.socket.ping()
      yield* until(() => kyutai.counters().audioSeconds > 1 && pings.answered === 1)
      assert.deepStrictEqual(stalled.texts, [])
      const dead = yield* connected()
      yield* control({ _tag: "HalfOpen" })
      const heardBefore = kyutai.counters().audioSeconds
      dead.send(silence(1000))
      dead.socket.ping()
      const later = yield* connected()
      later.socket.ping()
      later.send(say([2]))
      later.send(silence(1000))
      yield* until(() => later.texts.length === 1 && pings.answered === 2)
      assert.isBelow(kyutai.counters().audioSeconds - heardBefore, 2)
      assert.strictEqual(dead.socket.readyState, WebSocket.OPEN)
      kyutai.control({ _tag: "Behave", as: "halfOpen" })
      const stillborn = yield* connected()
      stillborn.socket.ping()
      kyutai.control({ _tag: "Behave", as: "serve" })
      later.socket.ping()
      yield* until(() => pings.answered === 3)
      assert.strictEqual(stillborn.socket.readyState, WebSocket.OPEN)
    })
  )

  it.live("computes as slowly as it is told, in order, and says nonsense in place of words", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make({ format: ToneModem.fast })
      const client = yield* connect(kyutai.url)
      const utterance = (words: ReadonlyArray<number>) =>
        client.send(ToneModem.speak(words, { speaker: 1, sampleRate: 24_000, format: ToneModem.fast }).pcm)
      kyutai.control({ _tag: "Slow", speed: 4 })
      for (const word of [1, 2, 3]) {
        utterance([word])
        client.send(silence(760))
      }
      const [took] = yield* Effect.timed(until(() => client.texts.length === 3))
      assert.isAtLeast(Duration.toMillis(took), 600)
      assert.deepStrictEqual(client.texts, [1, 2, 3].map(wordText).map(token))
      kyutai.control({ _tag: "Behave", as: "garbage" })
      utterance([4])
      client.send(silence(800))
      yield* until(() => client.texts.length > 3)
      assert.notInclude(client.texts.join(), wordText(4))
    })
  )

  it.live("punctuates on request, and shows its log to other processes", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make({ punctuation: true, format: ToneModem.fast })
      const client = yield* connect(kyutai.url)
      const utterance = (words: ReadonlyArray<number>) =>
        client.send(ToneModem.speak(words, { speaker: 1, sampleRate: 24_000, format: ToneModem.fast }).pcm)
      utterance([1, 2, 3, 4, 5, 6])
      client.send(silence(800))
      utterance([7])
      client.send(silence(800))
      yield* until(() => client.texts.length === 7)
      assert.deepStrictEqual(
        kyutai.log().map(({ text, word }) => text.replace(wordText(word), "")),
        ["", "", "", "", ",", ".", "."]
      )
      const log = yield* Effect.promise(() => fetch(`${kyutai.httpUrl}/log`).then((answer) => answer.json()))
      assert.deepStrictEqual(log, JSON.parse(JSON.stringify(kyutai.log())))
    })
  )
})

const connectAndClose = (url: string) =>
  new Promise<number>((done) => {
    const socket = new WebSocket(url)
    socket.on("error", () => {})
    socket.on("close", done)
  })
