/**
 * Against the messages of RFC 5769, §2.1 and §2.2.
 */
import { assert, describe, it } from "@effect/vitest"
import * as StunMessage from "../../src/layers/StunMessage.ts"

const bytesOf = (hex: string) => Buffer.from(hex.replace(/\s/g, ""), "hex")
const password = StunMessage.keyOf("VOkJxbRl1RmTxUk/WvJxBt")
const transaction = bytesOf("b7e7a701bc34d686fa87dfae")
const request = {
  attributes: bytesOf(`
    80220010 5354554e207465737420636c69656e74 00240004 6e0001ff
    80290008 932ff9b151263b36 00060009 6576746a3a68367659 202020`),
  whole: bytesOf(`
    00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff
    80290008 932ff9b151263b36 00060009 6576746a3a68367659 202020
    00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf`)
}
const response = {
  software: bytesOf("8022000b 7465737420766563746f72 20"),
  whole: bytesOf(`
    0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f72 20 00200008 0001a147e112a643
    00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96`)
}

describe("StunMessage", () => {
  it("reads a request, and knows who sent it", () => {
    const message = StunMessage.read(request.whole)
    assert.isDefined(message)
    if (message === undefined) return
    assert.strictEqual(message.type, StunMessage.BINDING_REQUEST)
    assert.isTrue(transaction.equals(message.transaction))
    assert.strictEqual(Buffer.from(message.attributes.get(StunMessage.USERNAME) ?? []).toString(), "evtj:h6vY")
    assert.strictEqual(message.attributes.get(StunMessage.ICE_CONTROLLED)?.length, 8)
    assert.isTrue(StunMessage.isProven(request.whole, message, password))
    assert.isFalse(StunMessage.isProven(request.whole, message, StunMessage.keyOf("another")))
  })

  it("leaves what it reads as it was", () => {
    const copy = Buffer.from(request.whole)
    const message = StunMessage.read(copy)
    if (message !== undefined) StunMessage.isProven(copy, message, password)
    assert.deepStrictEqual(copy, request.whole)
  })

  it("writes them to the bit", () => {
    assert.deepStrictEqual(
      StunMessage.write(StunMessage.BINDING_REQUEST, transaction, request.attributes, password),
      request.whole
    )
    const mapped = StunMessage.mappedAddress("192.0.2.1", 32_853)
    assert.isDefined(mapped)
    const attributes = Buffer.concat([response.software, mapped ?? Buffer.alloc(0)])
    assert.deepStrictEqual(
      StunMessage.write(StunMessage.BINDING_RESPONSE, transaction, attributes, password),
      response.whole
    )
  })

  it("has no word for an address that is not of IPv4", () => {
    for (const address of ["2001:db8::1", "example.org", ""]) assert.isUndefined(StunMessage.mappedAddress(address, 1))
  })

  it("reads nothing that is cut off, changed, or of another kind", () => {
    for (const { whole } of [request, response]) {
      for (let length = 0; length < whole.length; length++) {
        assert.isUndefined(StunMessage.read(whole.subarray(0, length)))
        const changed = Buffer.from(whole)
        changed.writeUInt8((changed[length] ?? 0) ^ 0x10, length)
        const message = StunMessage.read(changed)
        assert.isFalse(message !== undefined && StunMessage.isProven(changed, message, password))
      }
    }
  })

  it("reads nothing that says a thing twice, or says more than it is long", () => {
    const read = (attributes: string) =>
      StunMessage.read(StunMessage.write(StunMessage.BINDING_REQUEST, transaction, bytesOf(attributes), password))
    assert.isDefined(read("00240004 6e0001ff"))
    assert.isDefined(read(""))
    assert.isUndefined(read("00240004 6e0001ff 00240004 6e0001ff"))
    assert.isUndefined(read("00240008 6e0001ff"))
    assert.isUndefined(read("0024"))
  })
})
