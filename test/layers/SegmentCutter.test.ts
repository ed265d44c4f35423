import { assert, describe, it } from "@effect/vitest"
import { isFinal, type Segment, textOf } from "../../src/domain/Segment.ts"
import type { SpeechEvent, Word } from "../../src/domain/Speech.ts"
import * as SegmentCutter from "../../src/layers/SegmentCutter.ts"

const words = (text: string): Array<Word> =>
  text
    .split(" ")
    .filter((one) => one !== "")
    .map((one) => ({ text: one, joiner: "space" }))
const appended = (text: string, item = "a"): SpeechEvent => ({ _tag: "Appended", item, words: words(text) })
const replaced = (text: string, stableLength: number, item = "a", timed: Array<Word> = []): SpeechEvent => ({
  _tag: "Replaced",
  item,
  text,
  stableLength,
  words: timed
})
const completed = (item: string, text?: string, previous?: string | null): SpeechEvent => ({
  _tag: "Completed",
  item,
  cause: "EngineFinal",
  ...(text === undefined ? {} : { text }),
  ...(previous === undefined ? {} : { previous })
})

/** Everything a cutter returned, held to the promises of a segment at every step. */
const watch = () => {
  const cutter = SegmentCutter.make("v")
  const states: Array<Segment> = []
  let ms = 0
  const note = (added: ReadonlyArray<Segment>) => {
    for (const state of added) {
      const before = states.findLast((one) => one.id === state.id)
      if (before !== undefined) {
        assert.isFalse(isFinal(before), "nothing comes after the final")
        assert.isAbove(state.revision, before.revision)
        assert.isTrue(state.committed.startsWith(before.committed), `"${before.committed}" became "${state.committed}"`)
      } else {
        const last = states.at(-1)
        assert.isTrue(last === undefined || isFinal(last), "one segment is open at a time")
      }
      if (isFinal(state)) assert.strictEqual(state.open, "")
      states.push(state)
    }
  }
  return {
    take: (...events: Array<SpeechEvent>) => {
      for (const event of events) note(cutter.take(event, ++ms))
    },
    end: (cause: "Silence" | "StreamEnd" = "Silence") => note(cutter.end(cause)),
    endBefore: (ms: number) => note(cutter.endBefore(ms, "Silence")),
    endSession: () => note(cutter.endSession("EngineLost")),
    states: () => states,
    finals: () => states.filter(isFinal).map((state) => `${state.committed} (${state.final})`),
    now: () => {
      const last = states.at(-1)
      return last === undefined || isFinal(last) ? "" : textOf(last)
    }
  }
}

describe("SegmentCutter", () => {
  describe("engines that only append", () => {
    it("shows each word at once and ends with silence", () => {
      const it = watch()
      it.take(appended("and"), appended("so"))
      it.take(appended("on"))
      assert.deepStrictEqual(it.states().map(textOf), ["and", "and so", "and so on"])
      it.end()
      assert.deepStrictEqual(it.finals(), ["and so on (Silence)"])
      it.end()
      assert.strictEqual(it.states().length, 4)
      it.take(appended("again"))
      assert.deepStrictEqual(
        it.states().map((state) => state.id),
        ["v:0", "v:0", "v:0", "v:0", "v:1"]
      )
    })

    it("a word that comes in pieces is certain when it is whole: nobody takes its pieces for words", () => {
      const it = watch()
      const piece = (text: string, joiner: Word["joiner"]): SpeechEvent => ({
        _tag: "Appended",
        item: "a",
        words: [{ text, joiner }],
        mayGrow: true
      })
      it.take(piece("un", "space"), piece("think", "none"), piece("able", "none"), piece("but", "space"))
      assert.deepStrictEqual(
        it.states().map(({ committed, open }) => `${committed}|${open}`),
        ["|un", "|unthink", "|unthinkable", "unthinkable|but"]
      )
      it.endBefore(1000)
      it.take(piece("ter", "none"), completed("a", "unthinkable butter"))
      assert.deepStrictEqual(it.finals(), ["unthinkable (Silence)", "butter (EngineFinal)"])
    })

    it("ends a segment at the end of a sentence of at least 12 characters", () => {
      const it = watch()
      it.take(appended('No. Dr. Who said: "that is it." Really? And he went on (for long!) and on… So what'))
      assert.deepStrictEqual(it.finals(), [
        'No. Dr. Who said: "that is it." (SentenceEnd)',
        "Really? And he went on (for long!) (SentenceEnd)"
      ])
      it.end()
      assert.strictEqual(it.finals().at(-1), "and on… So what (Silence)")
    })

    it("does not take the point within a word for the end of a sentence", () => {
      const it = watch()
      it.take(appended("the version is 3.14 of example.org and"))
      assert.deepStrictEqual(it.finals(), [])
    })

    it("cuts at the last word boundary before 200 characters", () => {
      const it = watch()
      it.take(appended(Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ")))
      const [first] = it.states().filter(isFinal)
      assert.strictEqual(first?.final, "MaxLength")
      assert.isAtMost(first?.committed.length ?? 0, 200)
      assert.isAbove(first?.committed.length ?? 0, 190)
      it.end()
      const all = it.states().filter(isFinal).map(textOf).join(" ")
      assert.strictEqual(all, Array.from({ length: 60 }, (_, index) => `word${index}`).join(" "))
    })

    it("cuts a text without any boundary between characters", () => {
      const it = watch()
      it.take({ _tag: "Appended", item: "a", words: [{ text: "😀".repeat(150), joiner: "none" }] })
      it.end()
      assert.strictEqual(it.states().filter(isFinal).map(textOf).join(""), "😀".repeat(150))
      assert.isTrue(it.states().every((state) => state.committed.isWellFormed()))
    })

    it("joins words as the engine says", () => {
      const it = watch()
      it.take({
        _tag: "Appended",
        item: "a",
        words: [
          { text: "Hel", joiner: "space" },
          { text: "lo", joiner: "none" },
          { text: ",", joiner: "none" },
          { text: "you", joiner: "space" }
        ]
      })
      assert.strictEqual(it.now(), "Hello, you")
    })

    it("carries the time of the newest word, also in a final that comes later", () => {
      const it = watch()
      it.take(appended("one"), appended("two"))
      it.end()
      assert.deepStrictEqual(
        it.states().map((state) => state.tokenAtMs),
        [1, 2, 2]
      )
    })
  })

  describe("engines that replace the open utterance", () => {
    it("commits what is stable, leaves the rest open, and finishes with the utterance", () => {
      const it = watch()
      it.take(replaced("hello word", 0), replaced("hello world this", 11), replaced("hello world thus is", 11))
      assert.deepStrictEqual(
        it.states().map(({ committed, open }) => `${committed}|${open}`),
        ["|hello word", "hello world|this", "hello world|thus is"]
      )
      it.take(completed("a", "hello world, this is fine"))
      assert.deepStrictEqual(it.finals(), ["hello world, this is fine (EngineFinal)"])
    })

    it("never rewrites what was committed, even if the engine does", () => {
      const it = watch()
      it.take(replaced("I scream", 8), replaced("Ice cream is", 5), completed("a", "Ice cream is good"))
      assert.deepStrictEqual(it.finals(), ["I scream is good (EngineFinal)"])
    })

    it("does not commit half a word", () => {
      const it = watch()
      it.take(replaced("hello wor", 9 - 2))
      assert.deepStrictEqual([it.states()[0]?.committed, it.now()], ["hello", "hello wor"])
    })

    it("cuts sentences out of the stable part and goes on behind them", () => {
      const it = watch()
      const text = "This is the first. This is the second and it"
      it.take(replaced(text, 20), replaced(`${text} goes on`, 37))
      assert.deepStrictEqual(it.finals(), ["This is the first. (SentenceEnd)"])
      assert.strictEqual(it.now(), "This is the second and it goes on")
      it.take(completed("a", `${text} goes on.`))
      assert.deepStrictEqual(it.finals(), [
        "This is the first. (SentenceEnd)",
        "This is the second and it goes on. (SentenceEnd)"
      ])
    })

    it("an utterance that outlives a silence is not said twice", () => {
      const it = watch()
      it.take(replaced("good morning", 0))
      it.end()
      it.take(replaced("good morning all", 0))
      assert.strictEqual(it.now(), "all")
      it.take(completed("a", "Good morning, all of you"))
      assert.deepStrictEqual(it.finals(), ["good morning (Silence)", "all of you (EngineFinal)"])
    })

    describe("what ends with a pause while the speaker goes on", () => {
      const timed = (text: string): Array<Word> =>
        words(text).map((word, index) => ({ ...word, startMs: index * 500, endMs: index * 500 + 300 }))
      const heard = (text: string, stable: string) => replaced(text, stable.length, "a", timed(text))

      it("words behind the pause may still change", () => {
        const it = watch()
        it.take(heard("good morning every bodx", "good morning"))
        it.endBefore(900)
        assert.deepStrictEqual(it.finals(), ["good morning (Silence)"])
        assert.strictEqual(it.now(), "every bodx")
        it.take(heard("good morning everybody here", "good morning everybody"))
        it.take(completed("a", "good morning everybody here"))
        assert.deepStrictEqual(it.finals(), ["good morning (Silence)", "everybody here (EngineFinal)"])
      })

      it("words before the pause do not change any more, whatever the engine said of them", () => {
        const it = watch()
        it.take(heard("good mornx everx", "good"))
        it.endBefore(900)
        it.take(heard("good morning everybody", "good morning everybody"), completed("a"))
        assert.deepStrictEqual(it.finals(), ["good mornx (Silence)", "everybody (EngineFinal)"])
      })

      it("an utterance that begins behind the pause stays open", () => {
        const it = watch()
        it.take(heard("good morning", "good"))
        it.endBefore(0)
        it.take(completed("a", "good morning"))
        assert.deepStrictEqual(it.finals(), ["good morning (EngineFinal)"])
      })

      it("what is certain ends where nobody knows when it was said, and nothing else", () => {
        const it = watch()
        it.take(replaced("good mornx", 0))
        it.endBefore(5000)
        it.take(replaced("good mornx", 4))
        it.endBefore(5000)
        it.take(completed("a", "good morning"))
        it.take(appended("all of you", "b"))
        it.endBefore(5000)
        assert.deepStrictEqual(it.finals(), ["good (Silence)", "morning (EngineFinal)", "all of you (Silence)"])
      })
    })

    it("a retracted text still gets its final", () => {
      const it = watch()
      it.take(replaced("uh", 0), completed("a", ""))
      assert.deepStrictEqual(it.finals(), [" (EngineFinal)"])
    })

    it("knows where in the audio a segment lies", () => {
      const it = watch()
      const timed = (text: string, startMs: number): Word => ({ text, joiner: "space", startMs, endMs: startMs + 90 })
      const text = "This is a sentence. And more"
      it.take(
        replaced(
          text,
          text.length,
          "a",
          text.split(" ").map((one, index) => timed(one, index * 100))
        )
      )
      it.take(completed("a"))
      assert.deepStrictEqual(
        it
          .states()
          .filter(isFinal)
          .map(({ startMs, endMs }) => [startMs, endMs]),
        [
          [0, 390],
          [400, 590]
        ]
      )
    })
  })

  describe("engines with utterances that complete out of order", () => {
    it("puts them in the order they were said", () => {
      const it = watch()
      it.take(completed("c", "three", "b"), completed("b", "two", "a"))
      assert.deepStrictEqual(it.finals(), [])
      it.take(appended("on", "a"))
      assert.strictEqual(it.now(), "on")
      it.take(completed("a", "one", null))
      // "on" was promised, the rest of the words follow
      assert.deepStrictEqual(it.finals(), ["one (EngineFinal)", "two (EngineFinal)", "three (EngineFinal)"])
    })

    it("holds what comes of a later one until the earlier one is complete", () => {
      const it = watch()
      it.take(appended("first", "a"), appended("second", "b"))
      assert.strictEqual(it.now(), "first")
      it.take(completed("b", "second!", "a"), completed("a", "first!", null))
      assert.deepStrictEqual(it.finals(), ["first! (EngineFinal)", "second! (EngineFinal)"])
    })

    it("one that failed keeps what was shown and lets the others pass", () => {
      const it = watch()
      it.take(appended("lost in", "a"), appended("next", "b"), { _tag: "Failed", item: "a", detail: "x" })
      assert.deepStrictEqual(it.finals(), ["lost in (EngineLost)"])
      assert.strictEqual(it.now(), "next")
    })

    it("one that never comes does not hold the others for ever", () => {
      const it = watch()
      it.take(completed("b", "kept waiting", "a"))
      it.end()
      assert.deepStrictEqual(it.finals(), ["kept waiting (EngineFinal)"])
      for (let index = 0; index < 40; index++) it.take(completed(`x${index}`, `number ${index}`, `y${index}`))
      assert.isAbove(it.finals().length, 20)
    })

    it("late news of a finished utterance are not said again", () => {
      const it = watch()
      it.take(completed("a", "once", null), completed("a", "once", null), appended("once", "a"))
      assert.deepStrictEqual(it.finals(), ["once (EngineFinal)"])
    })

    it("utterances that name each other as the previous one end nothing", () => {
      const it = watch()
      it.take(completed("a", "one", "b"), completed("b", "two", "a"), completed("c", "three", "c"))
      it.end("StreamEnd")
      assert.strictEqual(it.finals().length, 3)
    })
  })

  it("an utterance of the next session is another, even under the same name", () => {
    const it = watch()
    it.take(appended("said before", "a"))
    it.endSession()
    it.take(completed("a", "said before"))
    assert.deepStrictEqual(it.finals(), ["said before (EngineLost)", "said before (EngineFinal)"])
  })

  it("ignores events without text", () => {
    const it = watch()
    it.take(
      { _tag: "SpeechStarted", atMs: 1 },
      { _tag: "SpeechEnded", atMs: 2 },
      { _tag: "PauseLikely", atMs: 3, pauses: [] }
    )
    it.take(appended(""), completed("a"))
    it.end()
    assert.deepStrictEqual(it.states(), [])
  })
})
