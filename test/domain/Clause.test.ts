import { assert, describe, it } from "@effect/vitest"
import { captionLength, cutAt, isSayable, lastClauseEnd, lateCut, leadingMarks } from "../../src/domain/Clause.ts"

/** Cuts a whole text as the sink would if it all came at once. */
const pieces = (text: string): ReadonlyArray<string> => {
  const at = cutAt(text, 0)
  if (at === undefined) return [text]
  return [text.slice(0, at), ...pieces(text.slice(at).trimStart())]
}

describe("lastClauseEnd", () => {
  it("finds the mark and the quotes behind it", () => {
    const text = `He said "no," and left.`
    assert.strictEqual(lastClauseEnd(text, 1, 20), text.indexOf(" and"))
    assert.strictEqual(lastClauseEnd(text, 1, text.length), text.length)
    assert.isUndefined(lastClauseEnd(text, 14, 20))
  })

  it("does not take numbers and words apart", () => {
    assert.isUndefined(lastClauseEnd("It costs 3.50 at ten:30 in u.s.a ", 1, 40))
    assert.isUndefined(lastClauseEnd("It costs 3.", 1, 40))
    assert.strictEqual(lastClauseEnd("It costs 3. And", 1, 40), 11)
  })

  it("knows dashes, and marks of scripts without spaces", () => {
    assert.strictEqual(lastClauseEnd("well – yes", 1, 40), 6)
    assert.strictEqual(lastClauseEnd("今日は、天気がいい", 1, 40), 4)
  })
})

describe("cutAt", () => {
  it("leaves short text alone", () => {
    assert.isUndefined(cutAt("a, ".repeat(26), 0))
    assert.isUndefined(cutAt(`${"word ".repeat(19)}word`, 0))
  })

  it("cuts behind the last clause that fits", () => {
    const clause = "When the rain had stopped the children ran out into the garden,"
    assert.strictEqual(cutAt(`${clause} and jumped into every puddle`, 0), clause.length)
  })

  it("cuts between words where no clause ends", () => {
    const words = "word ".repeat(30)
    assert.strictEqual(cutAt(words, 0), 99)
    assert.isUndefined(cutAt("x".repeat(150), 0))
  })

  it("never cuts before what is shown", () => {
    const words = "word ".repeat(30)
    for (let shown = 0; shown < 140; shown++) assert.isAtLeast(cutAt(words, shown) ?? shown, shown)
  })

  it("does not part a word from punctuation that stands apart", () => {
    const text = `${"mot ".repeat(24)}dit ? Oui je crois`
    assert.strictEqual(text.slice(0, cutAt(text, 0)).at(-1), "t")
    assert.strictEqual(text.slice(cutAt(text, 0)).trimStart().at(0), "d")
  })

  it("cuts scripts without spaces between characters, not within one", () => {
    const at = cutAt("漢字".repeat(60), 0)
    assert.strictEqual(at, captionLength.most)
    assert.isUndefined(cutAt(`${"a".repeat(98)}${"e\u0301".repeat(20)}`, 0))
  })

  it("loses nothing however often it cuts", () => {
    const text = "one two three, four five six seven. Eight nine – ten; eleven: ".repeat(20).trim()
    const cut = pieces(text)
    assert.strictEqual(cut.join(" "), text)
    assert.isTrue(cut.every((piece) => piece.length <= captionLength.most))
    assert.isAbove(cut.length, 10)
  })
})

describe("lateCut", () => {
  it("waits until no better place can be expected", () => {
    assert.isUndefined(lateCut("word ".repeat(24)))
    assert.strictEqual(lateCut("word ".repeat(25)), 99)
  })
})

describe("leadingMarks", () => {
  it("counts what belongs to the text before", () => {
    assert.strictEqual(leadingMarks(", and so"), 2)
    assert.strictEqual(leadingMarks(" ?  Oui"), 4)
    assert.strictEqual(leadingMarks("'tis .5"), 0)
  })
})

describe("isSayable", () => {
  it("takes words, numbers and music, not punctuation", () => {
    assert.deepStrictEqual(["a", "7", "♪", "字", "", " ", "…", "?!", " . "].map(isSayable), [
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false
    ])
  })
})
