import { assert, describe, it } from "@effect/vitest"
import * as SpentTotals from "../../src/supervisor/SpentTotals.ts"
import * as StreamCounts from "../../src/supervisor/StreamCounts.ts"

describe("StreamCounts", () => {
  it("reserves within the limits of each subject and of all", () => {
    const counts = StreamCounts.make()
    const limits = { ofSubject: 2, ofAll: 3 }
    assert.deepStrictEqual(
      ["a", "a", "a", "b", "b"].map((subject) => counts.reserve(subject, limits)),
      ["Reserved", "Reserved", "ConcurrentStreams", "Reserved", "TooManyStreams"]
    )
    counts.release("a")
    assert.deepStrictEqual(counts.of("a"), { ofSubject: 1, ofAll: 2 })
    assert.strictEqual(counts.reserve("b", limits), "Reserved")
  })
})

describe("SpentTotals", () => {
  it("begins with what the first runner has found, adds what all say, and tells it to who comes later", () => {
    const totals = SpentTotals.make()
    assert.deepStrictEqual(totals.begin({ day: 5, seconds: [["a", 10]] }), { day: 5, seconds: [["a", 10]] })
    totals.add({
      day: 5,
      seconds: [
        ["a", 2],
        ["b", 1]
      ]
    })
    // The file is older than what is known.
    assert.deepStrictEqual(totals.begin({ day: 5, seconds: [["a", 10]] }).seconds, [
      ["a", 12],
      ["b", 1]
    ])
  })

  it("forgets yesterday, and takes nothing from it", () => {
    const totals = SpentTotals.make()
    totals.begin({ day: 5, seconds: [["a", 10]] })
    totals.add({ day: 6, seconds: [["a", 1]] })
    totals.add({ day: 5, seconds: [["a", 7]] })
    assert.deepStrictEqual(totals.begin({ day: 6, seconds: [] }), { day: 6, seconds: [["a", 1]] })
  })
})
