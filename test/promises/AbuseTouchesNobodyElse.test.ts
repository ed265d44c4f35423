/**
 * Whatever a client does to its streaming socket, it does to itself: others are heard word for word, and memory stays bounded.
 */
import { connect, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as PlainDialect from "../support/PlainDialect.ts"
import * as Standstill from "../support/Standstill.ts"
import { until } from "../support/Until.ts"

const path = "/v1/transcriptions"
const start = { action: "start" }
/** 0.4 s; so much of it fills every buffer there is. */
const speech = DoorSetup.pcm16(ToneModem.speak([5], { speaker: 1, sampleRate: 24_000 }).pcm)
const maxMessageBytes = 1024 * 1024

/** Below WebSocket clients, which would not do what is done here. */
const raw = (port: number): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => connect(port, "127.0.0.1")),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket) => {
      const received: Array<Buffer> = []
      let closed = false
      socket.on("data", (chunk: Buffer) => received.push(chunk))
      socket.on("error", () => {})
      socket.on("close", () => {
        closed = true
      })
      const lines = [
        `GET ${path} HTTP/1.1`,
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
      ]
      socket.write(`${lines.join("\r\n")}\r\n\r\n`)
      return {
        socket,
        closed: () => closed,
        /** Of the close frame, the last thing the service says. */
        code: () => {
          const last = Buffer.concat(received)
          const at = last.lastIndexOf(0x88)
          return at < 0 ? undefined : last.readUInt16BE(at + 2)
        }
      }
    }
  )

interface Raw {
  readonly socket: Socket
  readonly closed: () => boolean
  readonly code: () => number | undefined
}

/** A frame as a client sends it, masked with zeros. */
const frame = (opcode: number, payload: Uint8Array, isLast = true) => {
  const head = Buffer.alloc(payload.length < 126 ? 6 : 8)
  head[0] = (isLast ? 0x80 : 0) | opcode
  head[1] = 0x80 | Math.min(payload.length, 126)
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}
const text = (value: string | object) =>
  frame(1, Buffer.from(typeof value === "string" ? value : JSON.stringify(value), "utf8"))

/** Somebody who does nothing wrong, for as long as `meanwhile` takes: every word has to come. */
const speakOn = Effect.fnUntraced(function* (
  doors: DoorSetup.DoorSetup,
  meanwhile: Effect.Effect<void, unknown, Scope.Scope>
) {
  const client = yield* doors.connect(path)
  client.send(start)
  yield* client.said((message) => "session_id" in message)
  const spoken: Array<string> = []
  const talk = Effect.gen(function* () {
    for (let word = 100; ; word++) {
      spoken.push(wordText(word))
      client.send(DoorSetup.pcm16(ToneModem.speak([word], { speaker: 2, sampleRate: 24_000 }).pcm))
      yield* Effect.sleep("450 millis")
    }
  })
  yield* Effect.raceFirst(talk, meanwhile)
  client.send({ action: "stop" })
  assert.strictEqual((yield* client.closed).code, 1000)
  const finals = client.messages.flatMap(({ final }) => (typeof final === "string" ? final.split(" ") : []))
  assert.deepStrictEqual(finals, spoken)
})

const megabytes = () => {
  globalThis.gc?.()
  return process.memoryUsage().rss / 1024 / 1024
}

describe("a client that breaks the rules of the wire", () => {
  const cases: ReadonlyArray<readonly [string, number, ReadonlyArray<Buffer>]> = [
    // a frame that claims to have 1 GB is refused by its header
    ["sends a frame of 1 GB", 1009, [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0])]],
    [
      "goes on and on with one message",
      1009,
      [
        frame(2, Buffer.alloc(60_000), false),
        ...Array.from({ length: 20 }, () => frame(0, Buffer.alloc(60_000), false))
      ]
    ],
    ["does not mask", 1002, [Buffer.from([0x81, 0x01, 0x41])]],
    ["sends text that is not UTF-8", 1007, [frame(1, Buffer.from([0xff, 0xfe]))]],
    ["uses an opcode nobody knows", 1002, [frame(3, Buffer.alloc(1))]],
    ["says something before it starts", 1008, [text("hello")]],
    ["starts with audio", 1008, [frame(2, speech.subarray(0, 1000))]]
  ]
  it.live(`is closed with the code for it: ${cases.map(([what, code]) => `${what} (${code})`).join(", ")}`, () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      yield* speakOn(
        doors,
        Effect.forEach(
          cases,
          ([what, code, bytes]) =>
            Effect.gen(function* () {
              const abuser = yield* raw(doors.port)
              for (const one of bytes) abuser.socket.write(one)
              yield* until(() => abuser.code() !== undefined)
              assert.strictEqual(abuser.code(), code, what)
            }),
          { discard: true }
        )
      )
    }).pipe(Standstill.played)
  )
})

describe("a client that floods", () => {
  it.live("with audio, tiny messages, nonsense and pings costs others nothing, and memory no more than its share", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const before = megabytes()
      const flood = Effect.fnUntraced(function* (message: Uint8Array) {
        const abuser = yield* doors.connect(path)
        abuser.send(start)
        for (let sent = 0; sent < 50; sent++) {
          for (let burst = 0; burst < 20; burst++) {
            if (abuser.socket.bufferedAmount < 4_000_000) abuser.socket.send(message, { binary: message.length > 20 })
          }
          yield* Effect.sleep("20 millis")
        }
      })
      const pings = Effect.gen(function* () {
        const abuser = yield* doors.connect(path)
        abuser.send(start)
        for (let sent = 0; sent < 50; sent++) {
          for (let burst = 0; burst < 1000; burst++) abuser.socket.ping()
          yield* Effect.sleep("20 millis")
        }
      })
      const message = Buffer.alloc(maxMessageBytes / 2)
      for (let at = 0; at < message.length; at++) message[at] = speech[at % speech.length] ?? 0
      yield* speakOn(
        doors,
        Effect.all([flood(message), flood(Buffer.from("{}")), flood(Buffer.from("[".repeat(19))), pings], {
          concurrency: "unbounded",
          discard: true
        })
      )
      assert.isBelow(megabytes() - before, 200)
    }).pipe(Standstill.played)
  )

  it.live("with audio that no engine takes is held up at its own end", () =>
    Effect.gen(function* () {
      const engine = ScriptedEngine.layer({ opening: () => Effect.never })
      const doors = yield* DoorSetup.start({ engine, dialects: [PlainDialect.make({ paths: [path] })] })
      const before = megabytes()
      const abusers = yield* Effect.forEach(Array.from({ length: 5 }), () => doors.connect(path))
      for (const abuser of abusers) {
        abuser.send([{ _tag: "Start" }])
        // 40 MB each; what the service does not read stays here
        for (let sent = 0; sent < 2000; sent++) abuser.send(speech)
      }
      yield* Effect.sleep("1 second")
      for (const abuser of abusers) assert.isAbove(abuser.socket.bufferedAmount, 20_000_000)
      // The client's side is in this process too: 200 MB of messages that wait there are Buffers of one array.
      assert.isBelow(megabytes() - before, 200 + 150)
    }).pipe(Standstill.played)
  )
})

describe("a client that takes its time", () => {
  it.live("over its request, its frame or its start is let go, and others speak meanwhile", () =>
    Effect.gen(function* () {
      const dialect = PlainDialect.make({ name: "hasty", paths: ["/hasty"], startWithinSeconds: 1 })
      const { dialects } = yield* Effect.promise(() => import("../../src/http/Dialects.ts"))
      const settings = { idleSeconds: 2 }
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [...dialects, dialect], settings })
      yield* speakOn(
        doors,
        Effect.gen(function* () {
          const halfFrame = yield* raw(doors.port)
          halfFrame.socket.write(text(start))
          halfFrame.socket.write(Buffer.from([0x82, 0xff, 0, 0]))
          const neverStarts = yield* doors.connect("/hasty")
          yield* neverStarts.said(({ failure }) => failure === "NotStarted")
          assert.strictEqual((yield* neverStarts.closed).code, 1008)
          yield* until(halfFrame.closed)
          assert.strictEqual(halfFrame.code(), 1001)
        })
      )
    }).pipe(Standstill.played)
  )

  it.live(
    "over reading is let go when too much waits for it, and others speak meanwhile",
    () =>
      Effect.gen(function* () {
        // 20 captions of 3 KB per frame: what the kernel keeps for a socket (some 10 MB) is full after a few hundred frames
        const engine = ScriptedEngine.layer({
          onFrame: (_frame, session) => {
            for (let at = 0; at < 20; at++) session.say(`${"word ".repeat(600)}.`)
          }
        })
        const chatty = yield* DoorSetup.start({ engine })
        const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
        const abuser = yield* chatty.connect(path)
        abuser.send(start)
        yield* abuser.said((message) => "session_id" in message)
        abuser.socket.pause()
        const before = megabytes()
        yield* speakOn(
          doors,
          Effect.gen(function* () {
            while ((yield* chatty.metric("stream_closes_total", { reason: "SlowReader" })) === 0) {
              abuser.send(speech)
              yield* Effect.sleep("50 millis")
            }
          }).pipe(Effect.timeoutOrElse({ duration: "150 seconds", orElse: () => Effect.die(new Error("it was kept")) }))
        )
        assert.strictEqual(yield* chatty.metric("stream_sessions_active"), 0)
        // of the whole process, which on a busy machine collects late
        assert.isBelow(megabytes() - before, 300)
      }).pipe(Standstill.played),
    180_000
  )
})
