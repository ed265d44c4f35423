import { assert, describe, it } from "@effect/vitest"
import * as LoadShare from "../../src/supervisor/LoadShare.ts"

/** Gives so many connections, one after the other, to whoever has least; how many each got. */
const spread = (shares: ReadonlyArray<LoadShare.LoadShare>, count: number, nowMs = 0) => {
  const got = shares.map(() => 0)
  for (let n = 0; n < count; n++) {
    const loads = shares.map((share) => share.of(nowMs))
    const least = loads.indexOf(Math.min(...loads))
    shares[least]?.given(nowMs)
    got[least] = (got[least] ?? 0) + 1
  }
  return got
}

/** Readings of so many seconds. */
const busy = (share: LoadShare.LoadShare, cpu: number, seconds = 4, open = 0) => {
  for (let n = 0; n < seconds; n++) share.reported(n * 1000, { cpu, open, received: 0 })
}

describe("LoadShare", () => {
  it("spreads a burst evenly between those that have nothing to do", () => {
    assert.deepStrictEqual(spread([LoadShare.make(), LoadShare.make()], 40), [20, 20])
  })

  it("gives who has half a core to do nothing until the other has as much", () => {
    const shares = [LoadShare.make(), LoadShare.make()]
    busy(shares[0] ?? LoadShare.make(), 0.5)
    assert.deepStrictEqual(spread(shares, 20, 4000), [0, 20])
  })

  it("takes no burst for a load, of an old runner or one that has just begun", () => {
    const shares = [LoadShare.make(), LoadShare.make()]
    busy(shares[0] ?? LoadShare.make(), 1, 3)
    busy(shares[1] ?? LoadShare.make(), 0.02)
    shares[1]?.reported(5000, { cpu: 0.9, open: 0, received: 0 })
    assert.strictEqual(shares[0]?.cpu(), 0)
    assert.strictEqual(shares[1]?.cpu(), 0.02)
  })

  it("counts those that are open and silent", () => {
    const shares = [LoadShare.make(), LoadShare.make()]
    shares[0]?.reported(0, { cpu: 0.01, open: 30, received: 0 })
    const [, other] = spread(shares, 20, 1000)
    assert.isAtLeast(other ?? 0, 12)
  })

  it("knows how long it has heard of nobody", () => {
    const share = LoadShare.make()
    assert.strictEqual(share.silentMs(5), Number.POSITIVE_INFINITY)
    share.isThere(1000)
    assert.strictEqual(share.silentMs(3500), 2500)
  })
})
