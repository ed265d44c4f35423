import { assert, describe, it } from "@effect/vitest"
import * as ByteViews from "../../src/layers/ByteViews.ts"

describe("ByteViews", () => {
  it("gives the beginning of its memory, in one view for each length", () => {
    const memory = new Uint8Array(8)
    const views = ByteViews.make(memory)
    memory.set([1, 2, 3, 4, 5, 6, 7, 8])
    assert.deepStrictEqual([...views.of(3)], [1, 2, 3])
    assert.strictEqual(views.of(3), views.of(3))
    assert.strictEqual(views.of(0).length, 0)
    assert.strictEqual(views.of(8).buffer, memory.buffer)
  })

  it("gives memory of its own where there is too little", () => {
    const memory = new Uint8Array(8)
    const views = ByteViews.make(memory)
    const larger = views.of(9).fill(7)
    assert.strictEqual(larger.length, 9)
    assert.notStrictEqual(views.of(9), larger)
    assert.deepStrictEqual([...memory], new Array(8).fill(0))
  })
})
