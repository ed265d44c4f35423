/**
 * Several processes are one service: sessions are spread over them, one that is killed takes only its own with it and is there again, what is
 * counted is counted once, and told to end all of them deliver the last words.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as EndingScene from "../support/EndingScene.ts"
import * as RunnersScene from "../support/RunnersScene.ts"
import * as Standstill from "../support/Standstill.ts"
import { until } from "../support/Until.ts"

const { spoken, words } = EndingScene

/** ms; real processes, real speech, a busy machine. */
const PATIENCE = 600_000
const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Standstill.played(body), PATIENCE)

const SESSIONS = 40

describe("a service of two runners", () => {
  live(
    "gives each its part of the sessions, loses no more than that part with one, and ends with the last words of all",
    Effect.gen(function* () {
      const scene = yield* RunnersScene.make({}, { delayMs: 500 })
      const open = Effect.fnUntraced(function* (count: number) {
        const clients = yield* Effect.forEach(Array.from({ length: count }), () => scene.connect(), { concurrency: 20 })
        for (const client of clients) client.send({ action: "start", details: true })
        return clients
      })
      const clients = yield* open(SESSIONS)
      yield* RunnersScene.speak(clients, words.slice(0, 3))
      const active = (text: string) => RunnersScene.sumOf(text, "transcription_stream_sessions_active")
      const before = yield* scene.text("/metrics").pipe(Effect.repeat({ until: (text) => active(text) === SESSIONS }))
      assert.strictEqual(RunnersScene.sumOf(before, "transcription_stream_sessions_total"), SESSIONS)
      assert.strictEqual(before.split("# TYPE transcription_stream_sessions_total counter").length, 2)

      const [first, second] = scene.runners()
      assert.isDefined(second)
      process.kill(second ?? 0, "SIGKILL")
      yield* RunnersScene.untilOpen(clients, (count) => count < SESSIONS)
      yield* RunnersScene.untilStill(() => clients.filter(RunnersScene.isOpen).length)
      const left = clients.filter(RunnersScene.isOpen)
      // Neither has more than 60 %.
      assert.isAtLeast(left.length, 0.4 * SESSIONS)
      assert.isAtMost(left.length, 0.6 * SESSIONS)

      // Those who were cut off come back at once, and are served.
      const returned = yield* open(SESSIONS - left.length)
      yield* RunnersScene.speak([...left, ...returned], words.slice(3))
      const after = yield* scene.text("/metrics")
      assert.isAtLeast(
        RunnersScene.sumOf(after, "transcription_stream_sessions_total"),
        SESSIONS + returned.length,
        "what was counted stays counted"
      )
      assert.strictEqual(RunnersScene.sumOf(after, "transcription_stream_sessions_active"), SESSIONS)
      for (let n = 0; n < 4; n++) assert.include(yield* scene.text("/health"), `"status":"healthy"`)
      yield* until(() => scene.runners().length === 2)
      assert.notInclude(scene.runners(), second)
      assert.include(scene.runners(), first)

      scene.service.child.kill("SIGTERM")
      for (const client of [...left, ...returned]) {
        assert.strictEqual((yield* client.closed).code, 1001)
        assert.deepInclude(client.messages.at(-1), { code: "ShuttingDown" })
      }
      for (const client of left) assert.deepStrictEqual(EndingScene.readBy(client), spoken)
      for (const client of returned) assert.deepStrictEqual(EndingScene.readBy(client), spoken.slice(3))
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
    })
  )

  live(
    "ends in order too while one of them is only starting",
    Effect.gen(function* () {
      const scene = yield* RunnersScene.make()
      const [, second = 0] = scene.runners()
      process.kill(second, "SIGKILL")
      yield* until(() => scene.runners().length === 2 && !scene.runners().includes(second))
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
    })
  )

  live(
    "ends with the last words of its calls too, and none of them is said twice",
    Effect.gen(function* () {
      const scene = yield* EndingScene.make({
        calls: 4,
        streams: 4,
        environment: { LT_RUNNERS: "2", LT_SHUTDOWN_SECONDS: "16" }
      })
      yield* scene.speak
      const toldBefore = scene.engine.log().length
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })

      // The engine owed words when the signal came: otherwise this would prove nothing.
      assert.isBelow(toldBefore, 8 * words.length)
      for (const { read } of scene.calls) assert.deepStrictEqual(read(), spoken)
      for (const stream of scene.streams) assert.deepStrictEqual(EndingScene.readBy(stream), spoken)
      assert.strictEqual(scene.members(), 0)
    })
  )
})
