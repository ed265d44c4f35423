import { assert, describe, it } from "@effect/vitest"
import * as DtlsCurve from "../../src/layers/DtlsCurve.ts"

const werifts = DtlsCurve.curveOfWerift()
/** As they were before anybody replaced them. */
const [scalarMult, keyPair] = [werifts?.scalarMult, werifts?.box.keyPair]

describe("DtlsCurve", () => {
  it("gives what werift's own gives", () => {
    if (scalarMult === undefined || keyPair === undefined) throw new Error("werift has another curve")
    for (let round = 0; round < 20; round++) {
      const [one, other] = [DtlsCurve.keyPair(), keyPair()]
      const secret = DtlsCurve.scalarMult(one.secretKey, other.publicKey)
      assert.deepStrictEqual(secret, scalarMult(one.secretKey, other.publicKey))
      assert.deepStrictEqual(secret, scalarMult(other.secretKey, one.publicKey))
      assert.deepStrictEqual(
        [secret.length, one.secretKey.buffer.byteLength, one.publicKey.buffer.byteLength],
        [32, 32, 32]
      )
    }
    // Keys come from anybody.
    assert.throws(() => DtlsCurve.scalarMult(keyPair().secretKey, new Uint8Array(32)))
    assert.throws(() => DtlsCurve.scalarMult(keyPair().secretKey, new Uint8Array(31)))
  })

  it("is where werift looks for it", () => {
    assert.isTrue(DtlsCurve.useNative())
    assert.strictEqual(werifts?.scalarMult, DtlsCurve.scalarMult)
    assert.strictEqual(werifts?.box.keyPair, DtlsCurve.keyPair)
  })
})
