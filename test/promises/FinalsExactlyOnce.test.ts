/** Promise 2: committed text is never rewritten; a segment has exactly one final; revisions only grow. Whatever an engine says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { isFinal, type Segment, textOf } from "../../src/domain/Segment.ts"
import type { EndCause, SpeechEvent, Word } from "../../src/domain/Speech.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as SegmentCutter from "../../src/layers/SegmentCutter.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

/** A stream of pseudo-random numbers below a bound; the same for the same seed. */
const dice = (seed: number) => {
  let state = seed >>> 0 || 1
  return (bound: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

const VOCABULARY = [
  "a",
  "the",
  "Dr.",
  "yes.",
  "house",
  "Really?",
  "…",
  "”",
  "你好。",
  "",
  "supercalifragilistic",
  "3.14",
  "😀"
]

const sentence = (roll: (bound: number) => number): Array<Word> =>
  Array.from({ length: roll(9) }, () => ({
    text: VOCABULARY[roll(VOCABULARY.length)] ?? "",
    joiner: roll(4) === 0 ? "none" : "space"
  }))

/** An event no engine should send, and every one that it may. */
const event = (roll: (bound: number) => number): SpeechEvent => {
  const item = `i${roll(4)}`
  const words = sentence(roll)
  const text = words.map((word) => word.text).join(" ")
  switch (roll(8)) {
    case 0:
    case 1:
    case 2:
      return { _tag: "Appended", item, words }
    case 3:
    case 4:
      return { _tag: "Replaced", item, text, stableLength: roll(text.length + 3), words }
    case 5:
      return { _tag: "Completed", item, text, previous: roll(3) === 0 ? null : `i${roll(5)}`, cause: "EngineFinal" }
    case 6:
      return { _tag: "Completed", item, cause: "EngineFinal" }
    default:
      return roll(2) === 0 ? { _tag: "Failed", item, detail: "" } : { _tag: "SpeechStarted", atMs: 0 }
  }
}

const CAUSES: ReadonlyArray<EndCause> = ["Silence", "EngineLost", "Rotation", "StreamEnd"]

const keepsThePromise = (states: ReadonlyArray<Segment>): void => {
  const newest = new Map<string, Segment>()
  for (const state of states) {
    const before = newest.get(state.id)
    assert.isTrue(before === undefined || !isFinal(before), "a state after the final")
    assert.isTrue(before === undefined || state.revision > before.revision, "a revision that does not grow")
    assert.isTrue(before === undefined || state.committed.startsWith(before.committed), "committed text rewritten")
    assert.isTrue(!isFinal(state) || state.open === "", "open text in a final")
    assert.isAtMost(isFinal(state) ? state.committed.length : 0, 200)
    newest.set(state.id, state)
  }
  for (const state of newest.values()) assert.isTrue(isFinal(state), "a segment without a final")
}

describe("promise 2: one final each, nothing rewritten", () => {
  it.effect.prop(
    "whatever events come in whatever order",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const roll = dice(seed)
        const cutter = SegmentCutter.make("v")
        const states: Array<Segment> = []
        for (let step = 0; step < 60; step++) {
          states.push(...cutter.take(event(roll), step))
          if (roll(10) === 0) states.push(...cutter.end("Silence"))
          if (roll(25) === 0) states.push(...cutter.endSession(CAUSES[roll(4)] ?? "Silence"))
        }
        states.push(...cutter.endSession("StreamEnd"))
        keepsThePromise(states)
      }),
    { arbitrary: { runs: 500, seed: 7 } }
  )

  it.effect.prop(
    "words that are only appended are all in the finals, once and in order",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const roll = dice(seed)
        const cutter = SegmentCutter.make("v")
        const states: Array<Segment> = []
        let said = ""
        for (let step = 0; step < 80; step++) {
          const words = sentence(roll)
          for (const word of words) said += word.text
          states.push(...cutter.take({ _tag: "Appended", item: "a", words }, step))
          if (roll(6) === 0) states.push(...cutter.end("Silence"))
        }
        states.push(...cutter.endSession("StreamEnd"))
        keepsThePromise(states)
        const read = states.filter(isFinal).map(textOf).join("")
        assert.strictEqual(read.replaceAll(/\s/g, ""), said)
      }),
    { arbitrary: { runs: 300, seed: 11 } }
  )

  it.effect("through sessions that break, pause, and are refused", () =>
    Effect.gen(function* () {
      const engine = yield* ScriptedEngine.ScriptedEngine
      const voice = yield* ScriptedVoice.make()
      const roll = dice(3)
      for (let turn = 0; turn < 120; turn++) {
        yield* voice.speak(1 + roll(12), roll(3) === 0 ? "goes on" : "ends")
        const session = engine.sessions().at(-1)
        if (roll(5) === 0) session?.fail(roll(2) === 0 ? "Closed" : "Busy")
        if (roll(4) === 0) yield* voice.silence(roll(40_000))
        yield* TestClock.adjust(roll(900))
      }
      yield* voice.leave
      yield* TestClock.adjust("5 seconds")
      yield* voice.done
      keepsThePromise(voice.states)
      assert.isAbove(engine.sessions().length, 5)
      const words = voice.states.filter(isFinal).flatMap((state) => textOf(state).split(" "))
      assert.deepStrictEqual(words, voice.spoken().filter(isWord).map(wordAt))
    }).pipe(
      Effect.provide(
        EngineTranscriber.layer.pipe(
          Layer.provide(ConfiguredEngines.single),
          Layer.provideMerge(
            ScriptedEngine.layer({
              flushing: () => Effect.sleep("700 millis"),
              onFrame: ({ position }, session) => {
                if (isWord(position)) session.say(wordAt(position))
              }
            })
          )
        )
      )
    )
  )
})

/** Every third frame of the recording is a word. */
const isWord = (position: number) => Math.floor(position / FRAME_SAMPLES) % 3 === 0
const wordAt = (position: number) => `word${position}`
