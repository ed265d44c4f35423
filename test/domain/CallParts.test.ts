import { assert, describe, it } from "@effect/vitest"
import { divide, MOST_VOICES } from "../../src/domain/CallParts.ts"

const people = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `voice ${from + n}`)
const sizes = (heardBy: ReadonlyMap<string, string>) => (part: string) =>
  [...heardBy.values()].filter((one) => one === part).length

describe("divide", () => {
  it("leaves a call to its lead as long as that has room", () => {
    const { beyond, heardBy } = divide(people(MOST_VOICES), new Map(), ["lead", "part"])
    assert.strictEqual(sizes(heardBy)("lead"), MOST_VOICES)
    assert.deepStrictEqual(beyond, [])
  })

  it("tells who is too many for all parts", () => {
    const { beyond, heardBy } = divide(people(7), new Map(), ["lead", "part"], 3)
    assert.strictEqual(heardBy.size, 6)
    assert.deepStrictEqual(beyond, ["voice 6"])
  })

  it("gives those who are new to the part with the fewest voices", () => {
    const { heardBy } = divide(people(9), new Map(), ["lead", "one", "two"], 5)
    assert.deepStrictEqual(["lead", "one", "two"].map(sizes(heardBy)), [5, 2, 2])
  })

  it("moves nobody when people come and go", () => {
    const before = divide(people(9), new Map(), ["lead", "one", "two"], 5).heardBy
    const after = divide(people(9, 4), before, ["lead", "one", "two"], 5).heardBy
    for (const voice of people(5, 4)) assert.strictEqual(after.get(voice), before.get(voice))
  })

  it("divides the voices of a part that is gone among the others, and moves nobody else", () => {
    const before = divide(people(9), new Map(), ["lead", "one", "two"], 5).heardBy
    const { beyond, heardBy } = divide(people(9), before, ["lead", "two"], 5)
    for (const [voice, part] of before) if (part !== "one") assert.strictEqual(heardBy.get(voice), part)
    assert.deepStrictEqual(beyond, [])
    assert.strictEqual(sizes(heardBy)("two"), 4)
  })
})
