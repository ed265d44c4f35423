import { assert, describe, it } from "@effect/vitest"
import * as TurnTaking from "../../src/layers/TurnTaking.ts"

const wish = { sinceMs: 0, areRivals: () => true }
const speak: TurnTaking.Turn = { _tag: "Speak" }

describe("turns", () => {
  it("belong to whoever begins, until its block ends", () => {
    const turns = TurnTaking.make()
    assert.deepStrictEqual(turns.ask("ada", 0, wish), speak)
    turns.opened("ada")
    assert.deepStrictEqual(turns.ask("bob", 0, wish), { _tag: "Wait" })
    assert.isTrue(turns.isContested("ada", () => true))
    turns.ended("ada")
    assert.deepStrictEqual(turns.ask("bob", 100, wish), speak)
  })

  it("are taken after 1.5 s", () => {
    const turns = TurnTaking.make()
    turns.opened("ada")
    turns.ask("bob", 100, { ...wish, sinceMs: 100 })
    assert.strictEqual(turns.deadline(100), 1600)
    assert.deepStrictEqual(turns.ask("bob", 1599, wish), { _tag: "Wait" })
    assert.deepStrictEqual(turns.ask("bob", 1600, wish), { _tag: "Interrupt", whom: ["ada"] })
    assert.strictEqual(turns.deadline(1600), Number.POSITIVE_INFINITY)
  })

  it("concern only those who meet on a screen", () => {
    const turns = TurnTaking.make()
    turns.opened("ada")
    assert.deepStrictEqual(turns.ask("bob", 0, { ...wish, areRivals: () => false }), speak)
    turns.opened("bob")
    assert.deepStrictEqual(
      turns.openRivals("bob", () => true),
      ["ada"]
    )
  })

  it("are not waited for by who has nothing to say any more", () => {
    const turns = TurnTaking.make()
    turns.opened("ada")
    turns.ask("bob", 0, wish)
    turns.withdrew("bob")
    assert.isFalse(turns.isContested("ada", () => true))
    assert.strictEqual(turns.deadline(0), Number.POSITIVE_INFINITY)
  })
})
