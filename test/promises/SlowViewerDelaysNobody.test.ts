/**
 * A slow or vanished viewer delays nobody: not the other viewers, not the engines; and it costs bounded memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Stream } from "effect"
import { RoomToken } from "../../src/domain/Call.ts"
import type { Caption } from "../../src/domain/Caption.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as CaptionHub from "../../src/layers/CaptionHub.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as CaptionScene from "../support/CaptionScene.ts"
import { id, person } from "../support/ScriptedSession.ts"

const caption = (ordinal: number, final: boolean): Caption => ({
  room: RoomToken.make("room1"),
  speaker: id("ada"),
  language: LanguageId.make("en"),
  segment: {
    id: `video:ada:${ordinal}`,
    revision: final ? 1 : 0,
    committed: `word${ordinal}`,
    open: "",
    tokenAtMs: 0,
    ...(final ? { final: "Silence" as const } : {})
  }
})

describe("readers of a hub", () => {
  it.effect("one that stops reading is disconnected and told why, the others have everything", () =>
    Effect.gen(function* () {
      const hub = yield* CaptionHub.make
      const slow = yield* hub.subscribe
      const quick = yield* Stream.runCollect(Stream.take(yield* hub.subscribe, 3000)).pipe(Effect.forkChild)
      for (let ordinal = 0; ordinal < 1500; ordinal++) {
        hub.publish(caption(ordinal, false))
        yield* Effect.yieldNow
        hub.publish(caption(ordinal, true))
        yield* Effect.yieldNow
      }
      const all = yield* Fiber.join(quick)
      assert.strictEqual(all.filter(({ segment }) => segment.final !== undefined).length, 1500)
      const error = yield* Effect.flip(Stream.runDrain(slow))
      assert.strictEqual(error.waitingFinals, 1001)
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.drops, { reason: "caption_reader_behind" }))
      assert.strictEqual(count, 1001)
    }).pipe(CaptionScene.isolated)
  )

  it.effect("one that is behind skips partials and gets every final, in order", () =>
    Effect.gen(function* () {
      const hub = yield* CaptionHub.make
      const captions = yield* hub.subscribe
      for (let ordinal = 0; ordinal < 1000; ordinal++) {
        hub.publish(caption(ordinal, false))
        hub.publish(caption(ordinal, true))
      }
      hub.publish(caption(1000, false))
      const read = yield* Stream.runCollect(Stream.take(captions, 1001))
      assert.deepStrictEqual(
        read.map(({ segment }) => segment.id),
        Array.from({ length: 1001 }, (_, ordinal) => `video:ada:${ordinal}`)
      )
    }).pipe(CaptionScene.isolated)
  )
})

describe("viewers of a call", () => {
  it.effect("get captions at once while another has vanished and nothing is confirmed", () =>
    Effect.gen(function* () {
      const scene = yield* CaptionScene.make({ confirmMs: 3_600_000 })
      scene.join(person("ada"), person("eve"), person("fay"))
      scene.asks("eve")
      scene.asks("fay")
      scene.asks("never came")
      const ada = scene.voice("ada")
      for (let word = 0; word < 20; word++) {
        if (word === 6) scene.leave("fay")
        ada.says(`word${word}.`)
        ada.ends()
        assert.strictEqual(scene.messages().at(-1), `${word < 6 ? "fay" : "eve"} ada: word${word}.*`)
        yield* scene.wait(250)
      }
      assert.strictEqual(scene.page("eve").received().length, 40)
    }).pipe(CaptionScene.isolated)
  )

  it.effect("cost bounded memory while nothing is confirmed: the oldest captions are given up and counted", () =>
    Effect.gen(function* () {
      const scene = yield* CaptionScene.make({ confirmMs: 3_600_000 })
      scene.join(person("ada"), person("eve"))
      scene.asks("eve")
      const ada = scene.voice("ada")
      for (let word = 0; word < 1005; word++) {
        ada.says(`word${word}.`)
        ada.ends()
      }
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.drops, { reason: "caption_unproven" }))
      assert.strictEqual(count, 5)
    }).pipe(CaptionScene.isolated)
  )
})
