import { assert, describe, it } from "@effect/vitest"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as AwsResults from "../../src/layers/AwsResults.ts"
import * as EngineMark from "../../src/layers/EngineMark.ts"
import * as StreamTimeline from "../../src/layers/StreamTimeline.ts"

const RATE = 16_000
const FRAME = 1280

/** Two seconds of speech at 10 s of the voice, half a second of silence of ours, two seconds of speech at 20 s. */
const results = () => {
  const timeline = StreamTimeline.make(RATE)
  for (let index = 0; index < 25; index++) timeline.frame(240_000 + index * FRAME_SAMPLES, FRAME)
  timeline.silence(RATE / 2)
  for (let index = 0; index < 25; index++) timeline.frame(480_000 + index * FRAME_SAMPLES, FRAME)
  return AwsResults.make(timeline, RATE, EngineMark.make())
}

interface Given {
  readonly id?: string
  readonly partial?: boolean
  readonly text: string
  readonly items?: ReadonlyArray<readonly [content: string, start: number, end: number, stable?: boolean]>
  readonly end?: number
  readonly language?: string
}

const message = ({ end, id = "a", items = [], language, partial = true, text }: Given) => ({
  TranscriptEvent: {
    Transcript: {
      Results: [
        {
          ResultId: id,
          StartTime: items[0]?.[1] ?? 0,
          EndTime: end ?? items.at(-1)?.[2] ?? 0,
          IsPartial: partial,
          LanguageCode: language,
          Alternatives: [
            {
              Transcript: text,
              Items: items.map(([Content, StartTime, EndTime, Stable]) => ({
                Content,
                StartTime,
                EndTime,
                Stable,
                Type: /^[,.。]$/.test(Content) ? "punctuation" : "pronunciation",
                Confidence: /^[,.。]$/.test(Content) ? undefined : 0.9
              }))
            }
          ]
        }
      ]
    }
  }
})

describe("AwsResults", () => {
  it("a partial replaces the open text; what is stable ends with the last of the leading stable items", () => {
    const [event] =
      results().take(
        message({
          text: "Good morning, every won",
          items: [
            ["Good", 0.1, 0.4, true],
            ["morning", 0.4, 0.9, true],
            [",", 0.9, 0.9, true],
            ["every", 1, 1.3, false],
            ["won", 1.3, 1.5, true]
          ]
        })
      ) ?? []
    assert.deepInclude(event, { _tag: "Replaced", item: "a", text: "Good morning, every won", stableLength: 13 })
  })

  it("words have the voice's times, also behind silence that was put in, and punctuation joins them", () => {
    const [event] =
      results().take(
        message({
          partial: false,
          text: "Good morning. Yes",
          items: [
            ["Good", 0.1, 0.4],
            ["morning", 0.4, 0.9],
            [".", 0.9, 0.9],
            // 2 s of speech and half a second of silence lie before it
            ["Yes", 2.6, 3]
          ]
        })
      ) ?? []
    assert.deepStrictEqual(event, {
      _tag: "Completed",
      item: "a",
      text: "Good morning. Yes",
      words: [
        { text: "Good", joiner: "none", startMs: 10_100, endMs: 10_400, confidence: 0.9 },
        { text: "morning", joiner: "space", startMs: 10_400, endMs: 10_900, confidence: 0.9 },
        { text: ".", joiner: "none" },
        { text: "Yes", joiner: "space", startMs: 20_100, endMs: 20_500, confidence: 0.9 }
      ],
      cause: "EngineFinal"
    })
  })

  it("a language without spaces gets none", () => {
    const [event] =
      results().take(
        message({
          partial: false,
          text: "今日は。",
          language: "ja-JP",
          items: [
            ["今日", 0, 0.3],
            ["は", 0.3, 0.4],
            ["。", 0.4, 0.4]
          ]
        })
      ) ?? []
    assert.deepInclude(event, { language: "ja-JP" })
    assert.deepStrictEqual(event?._tag === "Completed" ? event.words?.map(({ joiner }) => joiner) : [], [
      "none",
      "none",
      "none"
    ])
  })

  it("finals and stable words prove what lies before them, partials do not", () => {
    const read = results()
    read.take(
      message({
        text: "one two",
        items: [
          ["one", 0, 0.5, true],
          ["two", 0.5, 1, false]
        ]
      })
    )
    assert.strictEqual(read.proven(), 8_000)
    assert.isTrue(read.isOpen())
    read.take(
      message({
        partial: false,
        text: "one two",
        items: [
          ["one", 0, 0.5],
          ["two", 0.5, 1]
        ],
        end: 1.2
      })
    )
    assert.strictEqual(read.proven(), 19_200)
    assert.isFalse(read.isOpen())
  })

  it("a mark lies where stable words end and behind the event that says so; none while an earlier utterance is open", () => {
    const read = results()
    const told = (given: Given) =>
      (read.take(message(given)) ?? []).map((event) =>
        event._tag === "Marked" ? (event.position - 240_000) / 24_000 : event._tag
      )
    const items = [
      ["one", 0, 0.5, true],
      ["two", 0.5, 1, false]
    ] as const
    assert.deepStrictEqual(told({ text: "one two", items }), ["Replaced", 0.5])
    assert.deepStrictEqual(told({ text: "one two", items }), ["Replaced"])
    assert.deepStrictEqual(told({ id: "b", text: "six", items: [["six", 1.2, 1.5, true]] }), ["Replaced"])
    assert.deepStrictEqual(told({ id: "b", text: "six", partial: false, items: [["six", 1.2, 1.5]] }), ["Completed"])
    assert.deepStrictEqual(told({ text: "one two", partial: false, items, end: 1.9 }), ["Completed", 1])
    // behind the silence that was put in
    assert.deepStrictEqual(told({ id: "c", text: "x", partial: false, items: [["x", 2.6, 3]] }), ["Completed", 10.5])
  })

  it("no mark lies within a word of a language that puts no spaces between its words", () => {
    const items = [
      ["今日", 0, 0.3, true],
      ["は", 0.3, 0.4, false]
    ] as const
    const read = results()
    assert.strictEqual(read.take(message({ text: "今日は", items }))?.length, 1)
    assert.deepInclude(read.take(message({ text: "今日は", partial: false, items }))?.at(-1), { _tag: "Marked" })
  })

  it("nothing is proven beyond what was sent, whatever is told", () => {
    const read = results()
    read.take(message({ partial: false, text: "x", end: 1e9 }))
    assert.strictEqual(read.proven(), 72_000)
  })

  it("an empty final ends what was open, and nothing where nothing was", () => {
    const read = results()
    assert.deepStrictEqual(read.take(message({ partial: false, text: "" })), [])
    read.take(message({ text: "um" }))
    assert.deepInclude(read.take(message({ partial: false, text: "" }))?.[0], { _tag: "Completed", text: "" })
  })

  it("items that are not in the text say nothing about it", () => {
    const [event] =
      results().take(
        message({
          text: "one two",
          items: [
            ["one", 0, 0.5, true],
            ["three", 0.5, 1, true]
          ]
        })
      ) ?? []
    assert.deepInclude(event, { text: "one two", stableLength: 3 })
  })

  it("events without results are known and say nothing; everything else is not known", () => {
    const read = results()
    assert.deepStrictEqual(read.take({ TranscriptEvent: { Transcript: { Results: [] } } }), [])
    assert.deepStrictEqual(read.take({ TranscriptEvent: {} }), [])
    assert.strictEqual(read.count(), 0)
    for (const strange of [
      undefined,
      null,
      7,
      {},
      { $unknown: ["x", {}] },
      { TranscriptEvent: { Transcript: { Results: [{ ResultId: 7 }] } } },
      { TranscriptEvent: { Transcript: { Results: [{ ResultId: "a", EndTime: Number.NaN }] } } },
      {
        TranscriptEvent: { Transcript: { Results: [{ ResultId: "a", Alternatives: [{ Items: [{ Content: {} }] }] }] } }
      }
    ])
      assert.isUndefined(read.take(strange))
  })
})
