import { assert, describe, it } from "@effect/vitest"
import * as Residence from "../../bench/speakers/Residence.ts"
import * as Saturation from "../../bench/speakers/Saturation.ts"

const row = (speakers: number, percentCore: number) => ({ speakers, percentCore })
const easy = {
  perRunner: [{ percentCore: 60, percentCoreSystem: 5, eventLoopP99Ms: 3, speakers: 200 }],
  sent: 100_000,
  lost: 0,
  ownPercent: 55,
  machinePercent: 57,
  publishers: { lateP99Ms: 2 }
}

describe("a series of growing crowds", () => {
  it("compares each with half of it, between two rows where there is none of that size", () => {
    const rows = [row(50, 20), row(100, 30), row(200, 54)]
    assert.strictEqual(Saturation.twice(rows, row(100, 30)), 1.5)
    assert.strictEqual(Saturation.twice(rows, row(200, 54)), 1.8)
    assert.strictEqual(Saturation.twice(rows, row(300, 84)), 2)
    assert.isUndefined(Saturation.twice([], row(50, 20)))
    assert.isUndefined(Saturation.twice(rows, row(60, 22)))
  })

  it("is saturated by a full runner, a full machine, a lost packet in a thousand, or a load that is late", () => {
    assert.isUndefined(Saturation.of(easy))
    const [runner] = easy.perRunner
    const full = { percentCore: 98, percentCoreSystem: 5, eventLoopP99Ms: 300, speakers: 300 }
    assert.strictEqual(Saturation.of({ ...easy, perRunner: [runner ?? full, full] }), "a runner is full")
    assert.strictEqual(Saturation.of({ ...easy, ownPercent: 99 }), "the machine is full")
    assert.isUndefined(Saturation.of({ ...easy, lost: 50 }))
    assert.strictEqual(Saturation.of({ ...easy, lost: 500 }), "packets were lost")
    assert.strictEqual(Saturation.of({ ...easy, publishers: { lateP99Ms: 200 } }), "the publishers are late")
  })

  it("is not taken for saturated by what others on the machine have done to it", () => {
    const disturbed = { ...easy, machinePercent: 100 }
    assert.isTrue(Saturation.isDisturbed(disturbed))
    assert.isFalse(Saturation.isDisturbed({ ...easy, ownPercent: 94, machinePercent: 98 }))
    assert.isUndefined(Saturation.of({ ...disturbed, lost: 500, publishers: { lateP99Ms: 200 } }))
    assert.strictEqual(Saturation.of({ ...disturbed, perRunner: [{ percentCore: 98 }] }), "a runner is full")
  })

  it("tells from half of the measured time whether memory grows, and nothing from less than three looks", () => {
    const minutes = [0, 1, 2, 3, 4, 5]
    const grown = Residence.of(
      minutes,
      minutes.map((minute) => 100 + 2 * minute)
    )
    assert.approximately(grown.mbPerHour ?? 0, 120, 1e-9)
    const filled = Residence.of(minutes, [100, 160, 200, 210, 210, 210])
    assert.approximately(filled.mbPerHour ?? 1, 0, 1e-9)
    assert.isUndefined(Residence.of([0, 0.3], [100, 120]).mbPerHour)
  })
})
