import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Segment, Transcribed } from "../../src/domain/Segment.ts"
import * as SegmentOutbox from "../../src/layers/SegmentOutbox.ts"

const state = (id: string, revision: number, final = false): Segment => ({
  id,
  revision,
  committed: "",
  open: "",
  tokenAtMs: 0,
  ...(final ? { final: "Silence" as const } : {})
})
const nameOf = (one: Segment) => `${one.id}${one.revision}${one.final === undefined ? "" : "!"}`
const names = (told: ReadonlyArray<Transcribed>) =>
  told.map((one) => (one._tag === "Segment" ? nameOf(one.segment) : `settled ${one.position}`))

describe("SegmentOutbox", () => {
  it.effect("keeps the newest partial of a segment and every final for a reader who is late", () =>
    Effect.gen(function* () {
      const outbox = SegmentOutbox.make()
      outbox.put([state("a", 0), state("a", 1)])
      outbox.put([state("a", 2, true), state("b", 0)])
      outbox.put([state("b", 1, true), state("c", 0), state("c", 1)])
      outbox.end()
      assert.deepStrictEqual(names(yield* Stream.runCollect(outbox.transcribed)), ["a2!", "b1!", "c1"])
    })
  )

  it.effect("says how far all is said behind the finals that say it, once", () =>
    Effect.gen(function* () {
      const outbox = SegmentOutbox.make()
      outbox.settle(0)
      outbox.settle(10)
      outbox.put([state("a", 0)])
      outbox.settle(20)
      outbox.put([state("a", 1), state("a", 2, true), state("b", 0, true)])
      outbox.settle(15)
      outbox.settle(30)
      outbox.settle(40)
      outbox.end()
      const told = names(yield* Stream.runCollect(outbox.transcribed))
      assert.deepStrictEqual(told, ["settled 10", "a2!", "settled 20", "b0!", "settled 40"])
    })
  )

  it.effect("hands on at once, and ends when told", () =>
    Effect.gen(function* () {
      const outbox = SegmentOutbox.make()
      const seen: Array<Transcribed> = []
      const reading = yield* outbox.transcribed.pipe(
        Stream.runForEach((one) => Effect.sync(() => seen.push(one))),
        Effect.forkChild
      )
      for (let revision = 0; revision < 3; revision++) {
        yield* TestClock.adjust(0)
        outbox.put([state("a", revision)])
      }
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(names(seen), ["a0", "a1", "a2"])
      outbox.end()
      yield* Fiber.join(reading)
    })
  )

  it.effect("gives what belongs together in the moment it is there, to a reader who takes it so", () =>
    Effect.gen(function* () {
      const outbox = SegmentOutbox.make()
      const seen: Array<ReadonlyArray<string>> = []
      outbox.put([state("a", 0), state("a", 1, true), state("b", 0)])
      const reading = yield* outbox
        .read((said) => {
          seen.push(names(said))
          return undefined
        })
        .pipe(Effect.forkChild)
      yield* TestClock.adjust(0)
      outbox.put([state("b", 1), state("b", 2, true)])
      outbox.settle(10)
      assert.deepStrictEqual(seen, [["a1!", "b0"], ["b2!"], ["settled 10"]])
      outbox.end()
      yield* Fiber.join(reading)
    })
  )

  it.effect("makes the engine's events wait for a reader who stopped, and loses no final", () =>
    Effect.gen(function* () {
      const outbox = SegmentOutbox.make()
      const writing = yield* Effect.forEach(
        Array.from({ length: 2000 }, (_, index) => state(`s${index}`, 0, true)),
        (one) =>
          Effect.andThen(
            Effect.suspend(() => outbox.room() ?? Effect.void),
            Effect.sync(() => outbox.put([one]))
          ),
        { discard: true }
      ).pipe(Effect.ensuring(Effect.sync(outbox.end)), Effect.forkChild)
      yield* TestClock.adjust(0)
      assert.isUndefined(writing.pollUnsafe())
      assert.strictEqual((yield* Stream.runCollect(outbox.transcribed)).length, 2000)
    })
  )
})
