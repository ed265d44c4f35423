import { assert, describe, it } from "@effect/vitest"
import { offsetBehind } from "../../src/domain/Remainder.ts"

const rest = (said: string, text: string): string => text.slice(offsetBehind(said, text)).trim()

describe("what is still to be said", () => {
  it("is everything behind what was said, where that did not change", () => {
    assert.strictEqual(rest("I think", "I think so"), "so")
    assert.strictEqual(rest("I think", "I think"), "")
    assert.strictEqual(rest("今日は", "今日は天気"), "天気")
  })

  it("is what follows the same words, when they were replaced, added or taken away", () => {
    assert.strictEqual(rest("I sink", "I think so"), "so")
    assert.strictEqual(rest("we want to free", "we want two three four"), "four")
    assert.strictEqual(rest("the cat", "the black cat sat"), "sat")
    assert.strictEqual(rest("well the cat", "the cat sat"), "sat")
    assert.strictEqual(rest("今日わ", "今日は天気"), "天気")
  })

  it("does not repeat a word that grew or changed its case and punctuation", () => {
    assert.strictEqual(rest("she is runn", "She is running, fast"), "fast")
    assert.strictEqual(rest("okay", "Okay. Next"), "Next")
  })

  it("is nothing while the engine has taken words back", () => {
    assert.strictEqual(rest("one two three", "one two"), "")
    assert.strictEqual(rest("one two three", ""), "")
  })
})
