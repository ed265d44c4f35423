import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { Incarnation, type Rank } from "../../src/domain/Seat.ts"
import type { Transcribed } from "../../src/domain/Segment.ts"
import type { PartSaid } from "../../src/layers/CallPart.ts"
import * as PartSpeech from "../../src/layers/PartSpeech.ts"
import { until } from "../support/Until.ts"

const lead: Rank = { epoch: 1, incarnation: Incarnation.make("lead") }

const final = (committed: string): Transcribed => ({
  _tag: "Segment",
  segment: { id: committed, revision: 1, committed, open: "", tokenAtMs: 0, final: "Silence" }
})

/** A part with one voice, which says what is given to `say`. */
const voice = Effect.gen(function* () {
  const said = yield* Queue.unbounded<Transcribed>()
  const speech = PartSpeech.make({ transcriber: { transcribe: () => Stream.fromQueue(said) }, turn: () => 0 })
  yield* Effect.forkScoped(
    speech.say({
      id: "ada",
      key: { publisher: SessionId.make("ada"), roomType: "video" },
      voice: { id: "ada", frames: Stream.never, replay: () => [], language: () => defaultLanguage },
      newest: () => {},
      mark: () => {},
      answered: () => {}
    })
  )
  return {
    speech,
    say: (word: string) => Queue.offerUnsafe(said, final(word)),
    tell: (...all: ReadonlyArray<Transcribed>) => Queue.offerAllUnsafe(said, all)
  }
})

const listening = Effect.fnUntraced(function* (speech: PartSpeech.PartSpeech) {
  const got: Array<PartSaid> = []
  const fiber = yield* Effect.forkScoped(
    Stream.runForEach(speech.listen(lead, []), (all) => Effect.sync(() => got.push(...all)))
  )
  // until it waits for something to be said
  yield* Effect.sleep("50 millis")
  return { got, fiber }
})

const wordsOf = (got: ReadonlyArray<PartSaid>) =>
  got.flatMap(({ said }) => said.flatMap((one) => (one._tag === "Segment" ? [one.segment.committed] : [])))

describe("PartSpeech", () => {
  it.live("gives all to a lead that listens again, also before it was noticed here that its way was broken", () =>
    Effect.gen(function* () {
      const { say, speech } = yield* voice
      const broken = yield* listening(speech)
      const again = yield* listening(speech)
      say("one")
      yield* until(() => wordsOf(again.got).length === 1)
      say("two")
      yield* until(() => wordsOf(again.got).length === 2)
      yield* Fiber.interrupt(broken.fiber)
      say("three")
      yield* until(() => wordsOf(again.got).length === 3)
      assert.deepStrictEqual(wordsOf(broken.got), [])
      assert.deepStrictEqual(wordsOf(again.got), ["one", "two", "three"])
    })
  )

  it.effect("tells a final together with the mark behind it: a part that is killed says none twice", () =>
    Effect.gen(function* () {
      const { speech, tell } = yield* voice
      const got: Array<PartSaid> = []
      yield* Effect.forkScoped(Stream.runForEach(speech.listen(lead, []), (all) => Effect.sync(() => got.push(...all))))
      yield* TestClock.adjust(0)
      tell({ _tag: "Segment", segment: { id: "1", revision: 0, committed: "One", open: "", tokenAtMs: 0 } })
      yield* TestClock.adjust(1)
      tell(final("One."), { _tag: "Marked", position: 24_000, said: "One." })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        got.map(({ said }) => said.map(({ _tag }) => _tag)),
        [["Segment", "Segment", "Marked"]]
      )
    })
  )
})
