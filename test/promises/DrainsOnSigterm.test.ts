/**
 * A signal to stop: nothing new is begun, last words are delivered, sessions say bye, the process ends in time. And nothing of what was said is
 * in its log or metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, type Scope } from "effect"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as EndingScene from "../support/EndingScene.ts"
import { start } from "../support/ServiceProcess.ts"
import * as Standstill from "../support/Standstill.ts"
import { until } from "../support/Until.ts"

const { spoken, words } = EndingScene

/** ms; real processes, real speech, a busy machine. Whether the process ended in time is told by its exit code. */
const PATIENCE = 600_000
const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Standstill.played(body), PATIENCE)

/** Who waits in vain does so for its share of this time; a busy machine needs more of it than a calm one. */
const UNHURRIED = { LT_SHUTDOWN_SECONDS: "16" }

const text = (url: string) => Effect.promise(() => fetch(url, EndingScene.ALONE).then((response) => response.text()))

/** Everybody has heard some of it, and not all. */
const inMidSentence = Effect.fnUntraced(function* (scene: EndingScene.EndingScene) {
  const speaking = yield* Effect.forkScoped(scene.speak)
  const isHeard = () =>
    scene.calls.every(({ captions }) => captions().length > 0) &&
    scene.streams.every(({ messages }) => messages.some((message) => "partial" in message))
  yield* until(isHeard)
  return speaking
})

describe("a process that is told to end when all was said, and not all understood", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    live(
      `by ${signal} delivers the last words to viewers, streams and readers of the feed, and says bye`,
      Effect.gen(function* () {
        const scene = yield* EndingScene.make({ calls: 2, streams: 3, environment: UNHURRIED })
        const feed = yield* Effect.forkScoped(text(`${scene.api}/api/v1/calls/room0/captions`))
        yield* scene.speak
        const metrics = yield* text(`${scene.api}/metrics`)
        const toldBefore = scene.engine.log().length
        scene.service.child.kill(signal)
        assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })

        // The engine owed words when the signal came: otherwise this would prove nothing.
        assert.isBelow(toldBefore, 5 * words.length)
        for (const { captions, read } of scene.calls) {
          assert.deepStrictEqual(read(), spoken)
          assert.isTrue(captions().at(-1)?.final)
        }
        assert.strictEqual(scene.members(), 0)
        for (const stream of scene.streams) {
          assert.strictEqual((yield* stream.closed).code, 1001)
          assert.deepStrictEqual(EndingScene.readBy(stream), spoken)
          assert.deepInclude(stream.messages.at(-1), { code: "ShuttingDown" })
        }
        const events = (yield* Fiber.join(feed)).split("\n\n").filter((event) => event.startsWith("event: "))
        assert.include(events.at(-1), "event: end")
        const shown = events
          .filter((event) => event.includes('"final":true'))
          .map((event) => event.slice(event.indexOf("{")))
        assert.deepStrictEqual(
          shown.flatMap((data) => EndingScene.wordsOf(String(JSON.parse(data).text))),
          spoken
        )
        for (const word of spoken) {
          assert.notInclude(scene.service.output(), word)
          assert.notInclude(metrics, word)
        }
        assert.include(metrics, "transcription_rooms_active 2")
      })
    )
  }
})

describe("a process that is told to end while people speak", () => {
  live(
    "has delivered what it had heard of each when it goes, and begins nothing new meanwhile",
    Effect.gen(function* () {
      // What was said last is a second and a half away from its words: there is time to ask.
      const scene = yield* EndingScene.make({ calls: 1, streams: 1, environment: UNHURRIED, engine: { delayMs: 1500 } })
      yield* inMidSentence(scene)
      const shown = scene.calls.map(({ captions }) => EndingScene.wordsOf(captions().at(-1)?.message ?? "").length)
      scene.service.child.kill("SIGTERM")
      const asked = yield* EndingScene.startCall(scene.api, "another").pipe(
        Effect.repeat({ until: ({ status }) => status !== 200, schedule: Schedule.spaced("10 millis") })
      )
      assert.deepStrictEqual(asked, { status: 503, body: '{"error":"shutting down"}' })
      // Everything else is still answered.
      for (const path of ["/heartbeat", "/health", "/api/v1/status"]) {
        assert.strictEqual(
          yield* Effect.promise(() => fetch(`${scene.api}${path}`, EndingScene.ALONE).then(({ status }) => status)),
          200
        )
      }
      const ended = yield* Effect.promise(() =>
        fetch(`${scene.api}/api/v1/call/transcribe/nobody`, { ...EndingScene.ALONE, method: "DELETE" }).then(
          ({ status }) => status
        )
      )
      assert.strictEqual(ended, 404)
      const refusal = yield* Effect.flip(DoorSetup.connect(`${scene.api.replace("http", "ws")}/v1/transcriptions`))
      assert.include(refusal.message, "503")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
      const read = [...scene.calls.map((call) => call.read()), ...scene.streams.map(EndingScene.readBy)]
      for (const one of read) assert.deepStrictEqual(one, spoken.slice(0, one.length))
      for (const [n, before] of shown.entries()) assert.isAbove(read[n]?.length ?? 0, before)
      for (const { captions } of scene.calls) assert.isTrue(captions().at(-1)?.final)
    })
  )

  live(
    "with an engine that never finishes shows as final what it had, and is gone in time",
    Effect.gen(function* () {
      const scene = yield* EndingScene.make({ calls: 2, streams: 2, environment: UNHURRIED })
      yield* inMidSentence(scene)
      scene.engine.control({ _tag: "Behave", as: "silent" })
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
      for (const { captions } of scene.calls) assert.isTrue(captions().at(-1)?.final)
      for (const stream of scene.streams) {
        assert.deepInclude(stream.messages.at(-1), { code: "ShuttingDown" })
        assert.isNotEmpty(EndingScene.readBy(stream))
      }
      assert.strictEqual(scene.members(), 0)
    })
  )

  live(
    "with an HPB that answers nothing is gone in time, and its streams have everything",
    Effect.gen(function* () {
      const scene = yield* EndingScene.make({ calls: 2, streams: 2, environment: UNHURRIED })
      yield* scene.speak
      scene.freezeHpb()
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 0, signal: null })
      for (const stream of scene.streams) assert.deepStrictEqual(EndingScene.readBy(stream), spoken)
    })
  )

  live(
    "ends at once at the second signal",
    Effect.gen(function* () {
      const scene = yield* EndingScene.make({ calls: 1, environment: { LT_SHUTDOWN_SECONDS: "600" } })
      yield* inMidSentence(scene)
      scene.engine.control({ _tag: "Behave", as: "silent" })
      scene.service.child.kill("SIGTERM")
      yield* EndingScene.startCall(scene.api, "another").pipe(
        Effect.repeat({ until: ({ status }) => status === 503, schedule: Schedule.spaced("10 millis") })
      )
      scene.service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* scene.service.exit, { code: 70, signal: null })
    })
  )
})

describe("a process that is told to end while it starts", () => {
  live(
    "ends, whenever that is",
    Effect.forEach(
      [0, 150, 300, 450, 600, 750, 900, 1050],
      (ms) =>
        Effect.gen(function* () {
          const service = yield* start({ PORT: "0", LT_HPB_URL: "http://127.0.0.1:9", LT_INTERNAL_SECRET: "secret" })
          yield* Effect.sleep(ms)
          service.child.kill("SIGTERM")
          const { code, signal } = yield* service.exit
          // Before there is any program yet, by the system.
          assert.isTrue(code === 0 || signal === "SIGTERM", `after ${ms} ms: ${code} ${signal}: ${service.output()}`)
        }),
      { concurrency: 2, discard: true }
    )
  )
})
