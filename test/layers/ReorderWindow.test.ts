import { assert, describe, it } from "@effect/vitest"
import * as ReorderWindow from "../../src/layers/ReorderWindow.ts"

interface Delivered {
  readonly sequenceNumber: number
  readonly lost: number
  readonly atMs: number
}

const open = () => {
  const counters = { packets: 0, lost: 0, reordered: 0, late: 0 }
  const delivered: Array<Delivered> = []
  const window = ReorderWindow.make(({ payload, sequenceNumber }, atMs, lost) => {
    // Copied while it waited: what was lent is overwritten below.
    assert.strictEqual(payload[0], sequenceNumber & 255)
    delivered.push({ sequenceNumber, lost, atMs })
  }, counters)
  const push = (sequenceNumber: number, atMs: number, ssrc = 1) => {
    const payload = Buffer.from([sequenceNumber & 255])
    window.push({ sequenceNumber: sequenceNumber & 0xffff, timestamp: 0, ssrc, payload }, atMs)
    payload.fill(0)
  }
  const order = () => delivered.map(({ sequenceNumber }) => sequenceNumber)
  return { counters, delivered, order, push, tick: window.tick }
}

describe("ReorderWindow", () => {
  it("hands packets in order on at once, over the wrap-around", () => {
    const { counters, order, push } = open()
    for (let n = 0; n < 10; n++) {
      push(65_530 + n, n * 20)
      assert.strictEqual(order().length, n + 1)
    }
    assert.deepStrictEqual(order(), [65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 0, 1, 2, 3])
    assert.deepStrictEqual(counters, { packets: 10, lost: 0, reordered: 0, late: 0 })
  })

  it("puts what comes out of order into order", () => {
    const { counters, order, push } = open()
    for (const [n, sequence] of [1, 3, 2, 6, 5, 4, 7].entries()) push(sequence, n)
    assert.deepStrictEqual(order(), [1, 2, 3, 4, 5, 6, 7])
    assert.strictEqual(counters.lost + counters.late, 0)
    assert.strictEqual(counters.reordered, 2)
  })

  it("gives up on a gap after 40 ms, by a packet or by the clock", () => {
    const byClock = open()
    byClock.push(1, 0)
    byClock.push(4, 20)
    byClock.tick(59)
    assert.deepStrictEqual(byClock.order(), [1])
    byClock.tick(60)
    assert.deepStrictEqual(byClock.delivered.at(-1), { sequenceNumber: 4, lost: 2, atMs: 20 })
    const byPacket = open()
    byPacket.push(1, 0)
    byPacket.push(3, 20)
    byPacket.push(4, 40)
    byPacket.push(5, 60)
    assert.deepStrictEqual(byPacket.order(), [1, 3, 4, 5])
    assert.strictEqual(byPacket.counters.lost, 1)
  })

  it("lets a second gap wait for itself", () => {
    const { order, push, tick } = open()
    push(1, 0)
    push(3, 10)
    push(5, 40)
    tick(50)
    assert.deepStrictEqual(order(), [1, 3])
    push(4, 60)
    assert.deepStrictEqual(order(), [1, 3, 4, 5])
  })

  it("holds at most 16 packets", () => {
    const { counters, order, push } = open()
    push(1, 0)
    for (let sequence = 3; sequence <= 18; sequence++) push(sequence, 1)
    assert.deepStrictEqual(order(), [1, ...Array.from({ length: 16 }, (_, n) => n + 3)])
    assert.strictEqual(counters.lost, 1)
    push(500, 2)
    assert.strictEqual(order().at(-1), 500)
    assert.strictEqual(counters.lost, 1 + 481)
  })

  it("counts what is late or comes twice and does not hand it on", () => {
    const { counters, order, push, tick } = open()
    push(1, 0)
    push(1, 0)
    push(3, 0)
    push(3, 0)
    tick(40)
    push(2, 41)
    assert.deepStrictEqual(order(), [1, 3])
    assert.deepStrictEqual(counters, { packets: 5, lost: 1, reordered: 0, late: 3 })
  })

  it("follows a sequence that starts anew as soon as two packets agree on it", () => {
    const { order, push } = open()
    push(1, 0)
    push(40_000, 20)
    push(2, 40)
    push(20_000, 60)
    push(20_001, 80)
    push(20_002, 100)
    assert.deepStrictEqual(order(), [1, 2, 20_000, 20_001, 20_002])
  })

  it("another source that repeats what was heard begins where it says something new", () => {
    const { counters, order, push } = open()
    for (let n = 1; n <= 6; n++) push(n, n * 20)
    for (let n = 4; n <= 9; n++) push(n, 121 + n, 2)
    assert.deepStrictEqual(order(), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.strictEqual(counters.late, 3)
  })

  it("follows a new source at once and ignores stragglers of the old one", () => {
    const { counters, order, push } = open()
    push(1, 0, 1)
    push(3, 10, 1)
    for (let n = 0; n < 5; n++) push(700 + n, 20 + n, 2)
    push(4, 30, 1)
    push(705, 40, 2)
    assert.deepStrictEqual(order(), [1, 3, 700, 701, 702, 703, 704, 705])
    assert.strictEqual(counters.late, 1)
    push(5, 2000, 1)
    assert.strictEqual(order().at(-1), 5)
  })
})
