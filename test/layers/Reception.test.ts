import { assert, describe, it } from "@effect/vitest"
import * as Reception from "../../src/layers/Reception.ts"

/** Packet `n` of a stream of 20 ms, that arrives `lateMs` behind its time. */
const heard = (reception: Reception.Reception, n: number, lateMs = 0) =>
  reception.note(n & 0xffff, (n * 960) >>> 0, n * 20 + lateMs)

describe("Reception", () => {
  it("counts on beyond the end of the sequence numbers and of the timestamps", () => {
    const reception = Reception.make()
    const start = 4_473_900
    for (let n = start; n < start + 70_000; n++) heard(reception, n)
    const { highestSequence, ...rest } = reception.report()
    assert.deepStrictEqual(rest, { fractionLost: 0, packetsLost: 0, jitter: 0 })
    assert.strictEqual(highestSequence, (start & 0xffff) + 69_999)
  })

  it("tells what was lost since the last report and altogether; late ones are not lost", () => {
    const reception = Reception.make()
    for (const n of [1, 2, 3, 5, 4, 8]) heard(reception, n)
    assert.deepInclude(reception.report(), { fractionLost: 64, packetsLost: 2, highestSequence: 8 })
    for (const n of [9, 10]) heard(reception, n)
    assert.deepInclude(reception.report(), { fractionLost: 0, packetsLost: 2 })
    for (const n of [6, 7]) heard(reception, n)
    assert.deepInclude(reception.report(), { fractionLost: 0, packetsLost: 0, highestSequence: 10 })
    // Of before the first: more came than were expected.
    heard(reception, 0)
    assert.deepInclude(reception.report(), { fractionLost: 0, packetsLost: 0, highestSequence: 10 })
    assert.deepInclude(reception.report(), { fractionLost: 0, packetsLost: 0 })
  })

  it("tells jitter in samples", () => {
    const reception = Reception.make()
    for (let n = 0; n < 400; n++) heard(reception, n, n % 2 === 0 ? 0 : 5)
    assert.approximately(reception.report().jitter, 5 * 48, 2)
  })
})
