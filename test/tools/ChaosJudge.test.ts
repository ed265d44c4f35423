/** The judge of the chaos suite: what is lost, read twice, in the wrong place or never said. */
import { assert, describe, it } from "@effect/vitest"
import * as Dice from "../../tools/chaos/Dice.ts"
import { complaint, isClean, judge, type Said, wordsOf } from "../../tools/chaos/Judge.ts"

const said = (text: string): ReadonlyArray<Said> =>
  text.split(" ").map((word) => (word.startsWith("?") ? { word: word.slice(1), optional: true } : { word }))

const verdict = (spoken: string, read: string) => complaint(judge(said(spoken), wordsOf(read)))

describe("the judge", () => {
  it("finds nothing wrong with what was read as it was said, however it is written", () => {
    assert.isTrue(isClean(judge(said("No, no no. I'm here"), wordsOf("no No, no — im here!"))))
  })

  it("counts what is missing, also among repeated words", () => {
    assert.strictEqual(verdict("no no no yes", "no no yes"), "1 lost (no@2)")
    assert.strictEqual(verdict("one two three", ""), "3 lost (one@0 two@1 three@2)")
  })

  it("counts what was read twice", () => {
    assert.strictEqual(verdict("no no yes", "no no no yes"), "1 duplicated (no@2)")
    assert.strictEqual(verdict("one two three", "one two one two three"), "2 duplicated (one@2 two@3)")
  })

  it("counts a word in the wrong place once", () => {
    assert.strictEqual(verdict("one two three", "two three one"), "1 disordered (one@0)")
  })

  it("counts what nobody said", () => {
    assert.strictEqual(verdict("one two", "one oops two"), "1 invented (oops@1)")
  })

  it("does not miss what nobody could hear, and takes a repeated word for the one that must be read", () => {
    assert.strictEqual(verdict("one ?no ?no two", "one two"), "")
    assert.strictEqual(verdict("?no no two", "no two"), "")
    assert.strictEqual(verdict("one no ?no two", "one two"), "1 lost (no@1)")
  })

  it("blames exactly as many words as were taken away or doubled, wherever that was", () => {
    for (let seed = 0; seed < 200; seed++) {
      const dice = Dice.make(seed)
      const words = Array.from({ length: dice.between(1, 40) }, () => dice.pick(["no", "yes", "well", "then"]))
      const at = dice.between(0, words.length - 1)
      const without = judge(
        words.map((word) => ({ word })),
        words.toSpliced(at, 1)
      )
      assert.deepStrictEqual(
        [without.lost.length, without.duplicated.length, without.disordered.length],
        [1, 0, 0],
        `seed ${seed}`
      )
      const twice = judge(
        words.map((word) => ({ word })),
        words.toSpliced(at, 0, words[at] ?? "")
      )
      assert.deepStrictEqual(
        [twice.lost.length, twice.duplicated.length, twice.disordered.length],
        [0, 1, 0],
        `seed ${seed}`
      )
    }
  })
})
