import { assert, describe, it } from "@effect/vitest"
import { Deferred } from "effect"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as EngineMark from "../../src/layers/EngineMark.ts"
import * as MoshiFlushes from "../../src/layers/MoshiFlushes.ts"
import * as MoshiTurns from "../../src/layers/MoshiTurns.ts"
import * as StreamTimeline from "../../src/layers/StreamTimeline.ts"

const SURE = 0.9
const UNSURE = 0.1

/** A channel that was sent a minute of speech. */
const channel = () => {
  const timeline = StreamTimeline.make(24_000)
  timeline.frame(0, 24_000 * 60)
  const mark = EngineMark.make()
  const turns = MoshiTurns.make(timeline, mark)
  const story: Array<string> = []
  /** Steps of the marks, and how much of the story came before each. */
  const marks: Array<readonly [step: number, told: number]> = []
  const note = (events: ReadonlyArray<SpeechEvent>) => {
    for (const event of events) {
      if (event._tag === "Appended") story.push(...event.words.map(({ text }) => `${event.item} ${text}`))
      if (event._tag === "Completed") story.push(`${event.item} ${event.cause}`)
      if (event._tag === "Marked") marks.push([event.position / FRAME_SAMPLES, story.length])
    }
  }
  return {
    turns,
    mark,
    story,
    marks,
    steps: (count: number, likely: number) => {
      for (let step = 0; step < count; step++) note(turns.read({ type: "Step", prs: [likely, likely, likely, likely] }))
    },
    word: (text: string, step: number) => note(turns.read({ type: "Word", text, start_time: step * 0.08 })),
    boundary: (step: number) => note(turns.read({ type: "EndWord", stop_time: step * 0.08 }))
  }
}

describe("MoshiTurns", () => {
  it("ignores the pause heads in the first second, and before anything was said", () => {
    const { steps, story, word } = channel()
    word("early", 0)
    steps(12, SURE)
    steps(20, UNSURE)
    assert.deepStrictEqual(story, ["turn-0 early"])
    const other = channel()
    other.steps(60, SURE)
    assert.deepStrictEqual(other.story, [])
  })

  it("does not end a turn with its first word, however sure the heads were of the pause before it", () => {
    const { steps, story, word } = channel()
    steps(40, SURE)
    word("well", 34)
    steps(1, SURE)
    steps(30, UNSURE)
    assert.deepStrictEqual(story, ["turn-0 well"])
  })

  it("waits at a pause for the words before it, and puts those behind it into the next turn", () => {
    const { steps, story, word } = channel()
    steps(30, UNSURE)
    word("good", 22)
    steps(4, UNSURE)
    steps(1, SURE)
    word("morning", 28)
    steps(3, SURE)
    word("everybody", 37)
    assert.deepStrictEqual(story, ["turn-0 good", "turn-0 morning", "turn-0 Silence", "turn-1 everybody"])
    const other = channel()
    other.steps(30, UNSURE)
    other.word("good", 22)
    other.steps(4, UNSURE)
    other.steps(1, SURE)
    other.steps(MoshiTurns.SETTLE_STEPS - 1, UNSURE)
    assert.deepStrictEqual(other.story, ["turn-0 good"])
    other.steps(1, UNSURE)
    assert.deepStrictEqual(other.story, ["turn-0 good", "turn-0 Silence"])
    // it was over at once: a long word that began before it would not be told yet
    assert.deepStrictEqual(other.marks, [[22, 0]])
  })

  it("marks where a word begins before it tells the word, and where it was said to end, and never goes back", () => {
    const { boundary, marks, steps, word } = channel()
    steps(50, UNSURE)
    assert.deepStrictEqual(marks, [])
    word("one", 10)
    assert.deepStrictEqual(marks, [[10, 0]])
    boundary(20)
    assert.deepStrictEqual(marks.at(-1), [20, 1])
    word("two", 20)
    word("late", 15)
    assert.strictEqual(marks.length, 2)
  })

  it("marks a pause that lasted until all words before it were told, behind the end of the turn", () => {
    const { marks, steps, story, word } = channel()
    steps(30, UNSURE)
    word("good", 22)
    steps(4, UNSURE)
    steps(1 + MoshiTurns.SETTLE_STEPS, SURE)
    assert.deepStrictEqual(story, ["turn-0 good", "turn-0 Silence"])
    assert.deepStrictEqual(marks, [
      [22, 0],
      [35, 2]
    ])
  })

  it("takes a word's end from where the model was, not from the next word", () => {
    const { turns } = channel()
    for (let step = 0; step < 30; step++) turns.read({ type: "Step", prs: [] })
    const events = turns.read({ type: "Word", text: "one two", start_time: 20 * 0.08 })
    assert.deepStrictEqual(events.at(-1), {
      _tag: "Appended",
      item: "turn-0",
      words: [
        { text: "one", joiner: "space", startMs: 1600 },
        { text: "two", joiner: "space", endMs: 1920 }
      ]
    })
  })
})

describe("MoshiFlushes", () => {
  it("does not believe a marker that comes back before our own steps do", () => {
    const { mark, steps, turns } = channel()
    const flushes = MoshiFlushes.make(turns, mark)
    steps(1, UNSURE)
    const flush = flushes.add({ upTo: 7, stepsUpTo: 20, completes: false })
    flushes.read({ type: "Marker", id: flush.id })
    flushes.settle()
    assert.isFalse(Deferred.isDoneUnsafe(flush.done))
    steps(19 + MoshiTurns.SETTLE_STEPS, UNSURE)
    assert.deepStrictEqual(flushes.read({ type: "Step", prs: [] }), [{ _tag: "Marked", position: 7 }])
    assert.isFalse(Deferred.isDoneUnsafe(flush.done))
    flushes.settle()
    assert.isTrue(Deferred.isDoneUnsafe(flush.done))
  })

  it("completes in order, and an answer to a later one answers those before it", () => {
    const { mark, turns } = channel()
    const flushes = MoshiFlushes.make(turns, mark)
    const first = flushes.add({ upTo: 1, stepsUpTo: 1, completes: false })
    const second = flushes.add({ upTo: 2, stepsUpTo: 2, completes: false })
    flushes.read({ type: "Marker", id: 99 })
    flushes.settle()
    assert.isTrue(Deferred.isDoneUnsafe(first.done) && Deferred.isDoneUnsafe(second.done))
    assert.strictEqual(flushes.newest(2), second)
    assert.isUndefined(flushes.newest(3))
  })
})

describe("StreamTimeline", () => {
  it("finds the place in the voice, across silence that nobody kept and silence that was put in", () => {
    const timeline = StreamTimeline.make(24_000)
    timeline.silence(1000)
    timeline.frame(5000, 1920)
    timeline.frame(6920, 1920)
    timeline.frame(100_000, 1920)
    timeline.silence(10_000)
    timeline.frame(200_000, 1920)
    const places = [0, 1000, 2920, 4839, 4840, 6760, 12_000, 16_000, 16_760, 99_999]
    assert.deepStrictEqual(
      places.map((sample) => timeline.voiceAt(sample)),
      [5000, 5000, 6920, 8839, 100_000, 101_920, 101_920, 101_920, 200_000, 201_920]
    )
    // a little before speech is meant to be its beginning
    assert.deepStrictEqual([timeline.onsetAt(12_000), timeline.onsetAt(16_000)], [101_920, 200_000])
    assert.strictEqual(timeline.sent(), 18_680)
  })

  it("counts at the engine's rate, and takes frames that a resampler cut a little short for one piece", () => {
    const timeline = StreamTimeline.make(16_000)
    timeline.frame(0, 1260)
    timeline.frame(1920, 1280)
    timeline.frame(3840, 1300)
    assert.strictEqual(timeline.voiceAt(2560), 3840)
    timeline.frame(50_000, 1280)
    assert.strictEqual(timeline.voiceAt(3840 + 640), 50_960)
  })
})
