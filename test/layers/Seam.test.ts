import { assert, describe, it } from "@effect/vitest"
import * as Seam from "../../src/layers/Seam.ts"

const words = (text: string) => text.split(" ").filter((word) => word !== "")
const repeated = (
  known: string,
  fresh: string,
  { isComplete = false, mayLead = false }: { readonly mayLead?: boolean; readonly isComplete?: boolean } = {}
) => Seam.make(words(known), mayLead).overlap(words(fresh), isComplete)
const passed = (known: string, fresh: string) => Seam.make(words(known), false).passed(words(fresh))

describe("what a new session says at a seam", () => {
  it("is new from the first word on when nothing is in doubt", () => {
    assert.strictEqual(repeated("", "good"), 0)
    assert.strictEqual(repeated("", ""), 0)
  })

  it("is counted: what was said twice before is said once more", () => {
    assert.strictEqual(repeated("no no", "no no no"), 2)
    assert.strictEqual(repeated("no no", "no no"), 2)
    assert.strictEqual(repeated("no", "no no no no"), 1)
    assert.strictEqual(repeated("yes no no", "yes no no no yes"), 3)
  })

  it("cannot be told before the known words are through", () => {
    assert.isUndefined(repeated("no no no", "no no"))
    assert.isUndefined(repeated("good morning everybody", "good"))
    assert.isUndefined(repeated("good morning everybody", ""))
  })

  it("is told from what there is when no more comes", () => {
    assert.strictEqual(repeated("good morning everybody", "good morning", { isComplete: true }), 2)
    assert.strictEqual(repeated("good morning", "", { isComplete: true }), 0)
  })

  it("may be written and spelt in another way", () => {
    assert.strictEqual(repeated("Good morning, everybody.", "good Morning everybody and"), 3)
    assert.strictEqual(repeated("the colour is", "The color is red"), undefined)
    assert.strictEqual(repeated("the colour is", "The color is red now"), 3)
  })

  it("may leave out a word that was heard before, and no later one is lost for it", () => {
    assert.strictEqual(repeated("we meet today", "we meet at ten"), 2)
    assert.strictEqual(repeated("we meet today", "meet today at ten"), 2)
    assert.strictEqual(repeated("we meet today", "we meet at ten o'clock today"), 2)
  })

  it("may have a word between those that were heard before", () => {
    assert.strictEqual(repeated("we today", "we meet today at ten"), 3)
  })

  it("is all new when it is another text", () => {
    assert.strictEqual(repeated("eins zwei drei", "one two three four"), 0)
  })

  it("is found at the end of what is known when the voice could not be sent again from there", () => {
    assert.strictEqual(repeated("once upon a time there was", "time there was a king", { mayLead: true }), 3)
    assert.isUndefined(repeated("once upon a time there was", "time there", { mayLead: true }))
    assert.strictEqual(repeated("once upon a time", "there was a king", { mayLead: true }), 0)
  })

  it("is compared quickly however much is in doubt", () => {
    const long = Array.from({ length: 3000 }, (_, at) => `word${at % 97}`)
    const fresh = [...long.slice(-400), "new", "words", "follow"]
    assert.strictEqual(Seam.make(long, false).overlap(fresh, false), 400)
  })

  it("is the same where words far back have changed", () => {
    const known = Array.from({ length: 300 }, (_, at) => `word${at}`)
    const seam = Seam.make(known, true)
    for (const from of [100, 0, 180, 20, 140]) {
      const fresh = known.slice(from)
      assert.isUndefined(seam.overlap(fresh.slice(0, 110), false))
      assert.strictEqual(seam.passed(fresh.slice(0, 110)), from + 110)
      assert.strictEqual(seam.overlap([...fresh, "and", "on"], false), fresh.length)
      assert.strictEqual(seam.overlap(fresh, false), fresh.length)
    }
  })

  it("is the same, word by word or at once, whatever becomes of the last words", () => {
    const known = words("we meet today at ten o'clock in the red room and not in the blue one")
    const said = words("we met today at ten o'clock in a red room and not in the new blue one or so they say")
    const seam = Seam.make(known, true)
    for (const [at] of said.entries()) {
      const fresh = said.slice(0, at + 1)
      for (const changed of [[...fresh, "uncertain", "words"], fresh.toSpliced(-2, 1, "other"), fresh]) {
        const once = Seam.make(known, true)
        assert.strictEqual(seam.overlap(changed, false), once.overlap(changed, false))
        assert.strictEqual(seam.passed(changed), once.passed(changed))
      }
    }
  })
})

describe("a mark in the middle of a seam", () => {
  it("leaves those known words that have not come again", () => {
    assert.strictEqual(passed("good morning everybody", "good morning"), 2)
    assert.strictEqual(passed("good morning everybody", ""), 0)
    assert.strictEqual(passed("no no no", "no"), 1)
    assert.strictEqual(passed("good morning everybody", "morning"), 2)
  })
})
