import { assert, describe, it } from "@effect/vitest"
import * as Growth from "../../src/supervisor/Growth.ts"

/** Asks once a second; the seconds at which a runner was added. */
const ask = (
  grow: Growth.Growth,
  seconds: number,
  cpusAt: (second: number, added: number) => ReadonlyArray<number>
) => {
  const added: Array<number> = []
  for (let second = 0; second < seconds; second++) {
    if (grow(second * 1000, cpusAt(second, added.length))) added.push(second)
  }
  return added
}

describe("Growth", () => {
  it("adds a runner when one is busy for some seconds, and not for a burst", () => {
    assert.deepStrictEqual(
      ask(Growth.make({ most: 4 }), 20, (second) => [second % 5 === 4 ? 0.2 : 0.9]),
      []
    )
    assert.deepStrictEqual(
      ask(Growth.make({ most: 4 }), 20, (second, added) => [second < 3 ? 0.5 : 0.7, ...Array(added).fill(0)]),
      [8]
    )
  })

  it("adds none while another is free", () => {
    assert.deepStrictEqual(
      ask(Growth.make({ most: 4 }), 60, () => [0.95, 0.2]),
      []
    )
  })

  it("adds one after the other where all are busy, and never more than there are cores", () => {
    assert.deepStrictEqual(
      ask(Growth.make({ most: 3 }), 120, (_, added) => Array(added + 1).fill(0.8)),
      [5, 20]
    )
  })
})
