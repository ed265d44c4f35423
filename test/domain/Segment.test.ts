import { assert, describe, it } from "@effect/vitest"
import { isFinal, joinText, type Segment, textOf } from "../../src/domain/Segment.ts"

const segment: Segment = { id: "v:0", revision: 0, committed: "", open: "", tokenAtMs: 0 }

describe("Segment", () => {
  for (const [text, next, joined] of [
    ["", "Hello,", "Hello,"],
    ["", " Hello", "Hello"],
    ["Hello,", "world", "Hello, world"],
    ["Hello", " world", "Hello world"],
    ["Hello ", "world", "Hello world"],
    ["Hello", ",", "Hello,"],
    ["Hello", "?!", "Hello?!"],
    ["(see", ")", "(see)"],
    ["said", "“yes", "said “yes"],
    ["yes", "”", "yes”"],
    ["Hello", "", "Hello"]
  ] as const)
    it(`"${text}" and "${next}" make "${joined}"`, () => assert.strictEqual(joinText(text, next), joined))

  it("reads committed and open text as one", () => {
    assert.strictEqual(textOf({ ...segment, committed: "It is", open: "raining" }), "It is raining")
    assert.strictEqual(textOf({ ...segment, committed: "It is" }), "It is")
    assert.strictEqual(textOf({ ...segment, open: "It" }), "It")
  })

  it("is final when it says why it ended", () => {
    assert.isFalse(isFinal(segment))
    assert.isTrue(isFinal({ ...segment, final: "Silence" }))
  })
})
