import { assert, describe, it } from "@effect/vitest"
import { bytesIn } from "../../src/http/Base64.ts"

describe("Base64", () => {
  it("gives the bytes, padded or not", () => {
    for (const length of [0, 1, 2, 3, 4, 5, 640]) {
      const bytes = Buffer.from(Uint8Array.from({ length }, (_, n) => n * 7))
      const text = bytes.toString("base64")
      assert.deepStrictEqual(bytesIn(text), bytes)
      assert.deepStrictEqual(bytesIn(text.replaceAll("=", "")), bytes)
    }
  })

  it("gives nothing for what is none", () => {
    for (const text of ["A", "AAAAA", "!!!!", "AA AA", "AAAA\n", "AA==AA", "===", "ÄÄÄÄ"]) {
      assert.isUndefined(bytesIn(text), JSON.stringify(text))
    }
  })
})
