/**
 * A real socket under a clock that the test turns.
 */
import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { WebSocket, WebSocketServer } from "ws"
import * as SocketPulse from "../../src/layers/SocketPulse.ts"

/** Who sleeps wakes when the clock is turned to his moment, or past it: then this process stood still. */
const handClock = () => {
  let nowMs = 1000
  let sleepers: ReadonlyArray<{ readonly dueMs: number; readonly wake: () => void }> = []
  const nanos = () => BigInt(nowMs) * 1_000_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => nowMs,
    currentTimeMillis: Effect.sync(() => nowMs),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const wake = () => resume(Effect.void)
        sleepers = [...sleepers, { dueMs: nowMs + Duration.toMillis(duration), wake }]
      })
  }
  const turn = Effect.fnUntraced(function* (ms: number) {
    nowMs += ms
    const due = sleepers.filter(({ dueMs }) => dueMs <= nowMs)
    sleepers = sleepers.filter(({ dueMs }) => dueMs > nowMs)
    for (const { wake } of due) wake()
    yield* Effect.yieldNow
  })
  return { clock, now: () => nowMs, turn }
}

/** An engine that has answered its first ping, is being sent audio, and does not answer the next ping. */
const scene = Effect.gen(function* () {
  const server = new WebSocketServer({ port: 0, autoPong: false })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const client of server.clients) client.terminate()
      server.close()
    })
  )
  server.on("connection", (client) => client.once("ping", () => client.pong()))
  yield* Effect.promise(() => once(server, "listening"))
  const address = server.address()
  const ws = new WebSocket(`ws://127.0.0.1:${typeof address === "object" ? address?.port : ""}`)
  yield* Effect.addFinalizer(() => Effect.sync(() => ws.terminate()))
  const { clock, now, turn } = handClock()
  /** How long others had looked before it was its turn. */
  let behindMs = 0
  let pings = 0
  const pulse = SocketPulse.make(ws, () => now() + behindMs, 1000)
  yield* Effect.promise(() => once(ws, "pong"))
  const ping = ws.ping.bind(ws)
  ws.ping = (...args: []) => {
    pings++
    ping(...args)
  }
  let isLost = false
  const lost = Effect.tap(pulse.lost, () => Effect.sync(() => (isLost = true)))
  const fiber = yield* Effect.forkChild(Effect.provideService(lost, Clock.Clock, clock))
  yield* Effect.yieldNow
  return {
    ws,
    isLost: () => isLost,
    isAsked: () => pings > 0,
    end: Fiber.interrupt(fiber),
    behind: (ms: number) => {
      behindMs = ms
    },
    /** So many ticks, and audio all the while. */
    pass: Effect.fnUntraced(function* (ms: number) {
      for (let passed = 0; passed < ms; passed += 50) {
        pulse.sent(100)
        yield* turn(50)
      }
    }),
    stand: turn,
    /** So many ticks, and nothing is sent. */
    rest: Effect.fnUntraced(function* (ms: number) {
      for (let passed = 0; passed < ms; passed += 50) yield* turn(50)
    })
  }
})

describe("SocketPulse", () => {
  it.live("gives a server its time and not more, however many look before", () =>
    Effect.gen(function* () {
      const { behind, isAsked, isLost, pass } = yield* scene
      behind(3)
      yield* pass(500)
      assert.isTrue(isAsked())
      behind(0)
      yield* pass(1000)
      assert.isFalse(isLost())
      yield* pass(50)
      assert.isTrue(isLost())
    }).pipe(Effect.scoped)
  )

  it.live("asks nothing while nothing is sent, and at once when something is", () =>
    Effect.gen(function* () {
      const { end, isAsked, isLost, pass, rest } = yield* scene
      yield* rest(5000)
      assert.isFalse(isAsked())
      yield* pass(100)
      assert.isTrue(isAsked())
      yield* pass(900)
      assert.isFalse(isLost())
      yield* pass(200)
      assert.isTrue(isLost())
      yield* end
    }).pipe(Effect.scoped)
  )

  it.live("judges nobody by an answer that this process could not read", () =>
    Effect.gen(function* () {
      const { end, isAsked, isLost, pass, stand } = yield* scene
      yield* pass(500)
      assert.isTrue(isAsked())
      yield* pass(100)
      // awake again in the moment in which the server's time would be over
      yield* stand(900)
      yield* pass(100)
      assert.isFalse(isLost())
      yield* pass(900)
      assert.isTrue(isLost())
      yield* end
    }).pipe(Effect.scoped)
  )
})
