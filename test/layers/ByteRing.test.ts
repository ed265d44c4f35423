import { assert, describe, it } from "@effect/vitest"
import * as ByteRing from "../../src/layers/ByteRing.ts"

const packet = (n: number, length: number) => new Uint8Array(length).fill(n & 255)
const contents = (
  ring: ByteRing.ByteRing,
  position = 0,
  before = 0
): ReadonlyArray<readonly [number, number, number]> => {
  const reader = ring.from(position, before)
  const all: Array<readonly [number, number, number]> = []
  for (let one = reader.next(); one !== undefined; one = reader.next()) {
    assert.isTrue(one.packet.every((byte) => byte === one.packet[0]))
    all.push([one.position, one.packet.length, one.packet[0] ?? -1])
  }
  return all
}

describe("ByteRing", () => {
  it("keeps the newest packets, whole and in order, whatever their sizes", () => {
    let state = 1
    for (const size of [333, 1000, 1001, 4096]) {
      const ring = ByteRing.make(size)
      const expected: Array<readonly [number, number, number]> = []
      for (let n = 0; n < 700; n++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        const length = 1 + ((state >>> 8) % 30)
        ring.append(n * 480, packet(n, length))
        expected.push([n * 480, length, n & 255])
        const held = contents(ring)
        assert.deepStrictEqual(held, expected.slice(-held.length))
        assert.strictEqual(ring.oldest(), held[0]?.[0])
        assert.strictEqual(ring.counters.overwritten, n + 1 - held.length)
        assert.isAtMost(ring.counters.bytes, size)
        // Only what the next packet needs is given up.
        if (n > 300)
          assert.isAbove(
            held.reduce((sum, [, bytes]) => sum + bytes + 10, 0),
            size - 100
          )
      }
    }
  })

  it("reads from the packet a position lies in", () => {
    const ring = ByteRing.make(10_000)
    for (let n = 0; n < 100; n++) ring.append(n * 480, packet(n, 20))
    assert.strictEqual(contents(ring, 480 * 50 + 100)[0]?.[0], 480 * 50)
    assert.strictEqual(contents(ring, 480 * 50)[0]?.[0], 480 * 50)
    assert.strictEqual(contents(ring, 480 * 50, 5)[0]?.[0], 480 * 45)
    assert.strictEqual(contents(ring, 480 * 3, 5)[0]?.[0], 0)
    assert.strictEqual(contents(ring, -1)[0]?.[0], 0)
    assert.strictEqual(contents(ring, 1e9).length, 1)
  })

  it("finds that packet among many hundreds too, and where some were overwritten or cleared", () => {
    let state = 1
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return (state >>> 8) % below
    }
    const ring = ByteRing.make(20_000)
    let held: Array<number> = []
    for (let n = 0; n < 5000; n++) {
      ring.append(n * 480, packet(n, random(40)))
      held.push(n * 480)
      if (random(2000) === 0) {
        ring.clear()
        held = []
      }
      if (n % 37 > 0) continue
      held = held.filter((one) => one >= (ring.oldest() ?? Number.POSITIVE_INFINITY))
      const position = (n - random(900)) * 480 + random(480)
      const before = random(150)
      const found = held.findLastIndex((one) => one <= position)
      assert.strictEqual(ring.from(position, before).next()?.position, held[Math.max(0, found - before)])
    }
  })

  it("lets a reader go on while packets come, and skips what was overwritten meanwhile", () => {
    const ring = ByteRing.make(1000)
    for (let n = 0; n < 10; n++) ring.append(n, packet(n, 20))
    const reader = ring.from(0, 0)
    assert.strictEqual(reader.next()?.position, 0)
    for (let n = 10; n < 200; n++) ring.append(n, packet(n, 20))
    const next = reader.next()
    assert.strictEqual(next?.position, ring.oldest())
    let last = next?.position ?? 0
    for (let one = reader.next(); one !== undefined; one = reader.next()) last = one.position
    assert.strictEqual(last, 199)
    for (let n = 200; n < 300; n++) {
      ring.append(n, packet(n, 17))
      assert.strictEqual(reader.next()?.position, n)
      assert.isUndefined(reader.next())
    }
  })

  it("is empty before the first packet, after a packet that is too long, and after clearing", () => {
    const ring = ByteRing.make(1000)
    assert.deepStrictEqual(contents(ring), [])
    ring.append(1, packet(1, 900))
    assert.deepStrictEqual(contents(ring), [])
    assert.isUndefined(ring.oldest())
    ring.append(2, packet(2, 100))
    ring.clear()
    assert.deepStrictEqual(contents(ring), [])
    assert.strictEqual(ring.counters.bytes, 0)
    ring.append(3, packet(3, 0))
    assert.strictEqual(ring.oldest(), 3)
  })
})
