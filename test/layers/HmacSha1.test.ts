import { createHmac, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as HmacSha1 from "../../src/layers/HmacSha1.ts"

describe("HmacSha1", () => {
  it("is Node's, for keys and messages of any length, in any order", () => {
    const keys = [0, 1, 20, 24, 63, 64, 65, 256].map((bytes) => randomBytes(bytes))
    const made = keys.map((key) => HmacSha1.make(key))
    for (const bytes of [0, 1, 55, 64, 100, 1024, 5000, 7]) {
      const message = randomBytes(bytes)
      for (const [n, key] of keys.entries()) {
        const expected = createHmac("sha1", key).update(message).digest("hex")
        assert.strictEqual(made[n]?.(message).toString("hex"), expected, `${key.length} and ${bytes} bytes`)
      }
    }
  })
})
