import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { WebSocket, WebSocketServer } from "ws"
import type { Message } from "../../src/http/Dialect.ts"
import * as DoorSocket from "../../src/http/DoorSocket.ts"
import { until } from "../support/Until.ts"

interface Pair {
  readonly client: WebSocket
  readonly door: DoorSocket.DoorSocket
  readonly drained: () => number
  /** ms, by the clock the door has. */
  readonly pass: (ms: number) => "Alive" | "Slow" | "Dead"
}

/** Both ends of a real connection; time passes only when told. */
const open = (
  options: {
    readonly autoPong?: boolean
    readonly takeNow?: (message: Message) => boolean
    readonly admission?: DoorSocket.DoorSocketOptions["admission"]
  } = {}
): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.callback<WebSocketServer>((resume) => {
        const listening: WebSocketServer = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () =>
          resume(Effect.succeed(listening))
        )
      }),
      (listening) => Effect.sync(() => listening.close())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const accepted = yield* Effect.forkChild(
      Effect.callback<WebSocket>((resume) => {
        server.on("connection", (socket) => resume(Effect.succeed(socket)))
      }),
      { startImmediately: true }
    )
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(`ws://127.0.0.1:${port}`, options)),
      (socket) => Effect.sync(() => socket.terminate())
    )
    let nowMs = 0
    let drained = 0
    const socket = yield* Fiber.join(accepted)
    const { admission, takeNow = () => false } = options
    const door = yield* DoorSocket.make(socket, {
      now: () => nowMs,
      onDrain: () => drained++,
      takeNow,
      ...(admission === undefined ? {} : { admission })
    })
    yield* Effect.addFinalizer(() => Effect.sync(door.cut))
    yield* until(() => client.readyState === client.OPEN)
    return {
      client,
      door,
      drained: () => drained,
      pass: (ms) => {
        nowMs += ms
        return door.tick(nowMs)
      }
    }
  })

describe("a client's connection", () => {
  it.live("is pinged every 25 seconds, and dead when two pings were not answered", () =>
    Effect.gen(function* () {
      const { client, pass } = yield* open({ autoPong: false })
      let pings = 0
      client.on("ping", () => pings++)
      assert.strictEqual(pass(24_000), "Alive")
      for (let at = 0; at < 3; at++) assert.strictEqual(pass(25_000), "Alive")
      assert.strictEqual(pass(1), "Dead")
      yield* until(() => pings === 3)
    })
  )

  it.live("lives as long as it answers, or says anything", () =>
    Effect.gen(function* () {
      const answering = yield* open()
      const speaking = yield* open({ autoPong: false })
      let pongs = 0
      answering.client.on("ping", () => pongs++)
      for (let at = 1; at <= 5; at++) {
        assert.strictEqual(answering.pass(25_000), "Alive")
        assert.strictEqual(speaking.pass(25_000), "Alive")
        speaking.client.send("here")
        yield* speaking.door.next
        yield* until(() => pongs === at)
        yield* Effect.sleep("20 millis")
      }
    })
  )

  it.live("is not dead because nothing is read from it", () =>
    Effect.gen(function* () {
      const { client, door, pass } = yield* open({ autoPong: false })
      const message = Buffer.alloc(100_000)
      for (let at = 0; at < 100; at++) client.send(message)
      yield* until(() => client.bufferedAmount > 1_000_000)
      yield* Effect.sleep("100 millis")
      for (let at = 0; at < 5; at++) assert.strictEqual(pass(25_000), "Alive")
      for (let at = 0; at < 100; at++) assert.deepStrictEqual(yield* door.next, message)
    })
  )

  it.live("gives messages in order and says when it is over", () =>
    Effect.gen(function* () {
      const { client, door } = yield* open()
      client.send("one")
      client.send(Buffer.from("two"))
      client.close(4321)
      assert.strictEqual(yield* door.gone, 4321)
      assert.strictEqual(yield* door.next, "one")
      assert.deepStrictEqual(yield* door.next, Buffer.from("two"))
      assert.isUndefined(yield* door.next)
    })
  )

  it.live("gives messages at once to whoever takes them, unless one came before that is not done with", () =>
    Effect.gen(function* () {
      const offered: Array<Message> = []
      let isTaking = true
      const takeNow = (message: Message) => {
        offered.push(message)
        return isTaking
      }
      const { client, door } = yield* open({ takeNow })
      const next = yield* Effect.forkChild(door.next, { startImmediately: true })
      client.send("one")
      yield* until(() => offered.length === 1)
      isTaking = false
      client.send("two")
      assert.strictEqual(yield* Fiber.join(next), "two")
      isTaking = true
      // Nobody has asked for the next yet: whoever has "two" is still busy with it.
      client.send("three")
      client.close()
      yield* door.gone
      assert.deepStrictEqual(offered, ["one", "two"])
      assert.deepStrictEqual([yield* door.next, yield* door.next], ["three", undefined])
    })
  )

  it.live("of a stranger is read no further than a credential needs, and on when it is known who it is", () =>
    Effect.gen(function* () {
      let isAdmitted = false
      let received = 0
      const pair = yield* open({ admission: { isAdmitted: () => isAdmitted, received: () => received } })
      const half = new Uint8Array(500 * 1024)
      const read = yield* Effect.forkChild(Effect.repeat(pair.door.next, { times: 2 }))
      pair.client.send("hello")
      received = 64 * 1024
      pair.pass(1)
      yield* until(() => pair.client.bufferedAmount === 0)
      received++
      pair.pass(1)
      for (let n = 0; n < 40; n++) pair.client.send(half)
      // What the networks of this machine hold, and nothing more.
      yield* Effect.sleep("200 millis")
      pair.pass(1)
      assert.isAbove(pair.client.bufferedAmount, 5 * half.length)
      assert.isUndefined(read.pollUnsafe())
      isAdmitted = true
      pair.pass(1)
      yield* Fiber.join(read)
    })
  )

  it.live("that nobody reads from is slow at once with too much, and after ten seconds with anything", () =>
    Effect.gen(function* () {
      const { client, door, drained, pass } = yield* open()
      client.pause()
      const message = "x".repeat(100_000)
      for (let at = 0; !door.isBehind(); at++) {
        door.send(message)
        if (at % 10 === 0) yield* Effect.sleep("10 millis")
      }
      assert.strictEqual(pass(9_000), "Alive")
      assert.strictEqual(pass(2_000), "Slow")
      for (let at = 0; at < 30; at++) door.send(message)
      assert.strictEqual(pass(0), "Slow")
      const before = drained()
      client.resume()
      yield* until(() => !door.isBehind())
      assert.isAbove(drained(), before)
      assert.strictEqual(pass(0), "Alive")
    })
  )

  it.live("is closed once, behind what was sent, with a reason cut to what fits", () =>
    Effect.gen(function* () {
      const { client, door } = yield* open()
      const received: Array<string> = []
      client.on("message", (data) => received.push(String(data)))
      const closed = yield* Effect.forkChild(
        Effect.callback<{ readonly code: number; readonly reason: string }>((resume) => {
          client.on("close", (code, reason) => resume(Effect.succeed({ code, reason: String(reason) })))
        }),
        { startImmediately: true }
      )
      door.send("last words")
      door.close(4400, "ä".repeat(100))
      door.close(1000)
      door.send("too late")
      assert.deepStrictEqual(yield* Fiber.join(closed), { code: 4400, reason: "ä".repeat(61) })
      assert.deepStrictEqual(received, ["last words"])
    })
  )

  it.live("is cut when the client does not answer the close", () =>
    Effect.gen(function* () {
      const { client, door } = yield* open()
      client.pause()
      door.close(1000)
      assert.strictEqual(yield* door.gone, 1006)
    })
  )
})
