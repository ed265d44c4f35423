import { createHmac, createSecretKey } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as SrtpCipher from "../../src/layers/SrtpCipher.ts"
import * as SrtpKeys from "../../src/layers/SrtpKeys.ts"
import * as SrtpReceiver from "../../src/layers/SrtpReceiver.ts"

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(/\s/g, ""), "hex")
const hexOf = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("hex"))

/** RFC 3711 appendix B.3. */
const master = {
  profile: SrtpKeys.AES_CM_128_HMAC_SHA1_80,
  key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
  salt: hex("0EC675AD498AFEEBB6960B3AABE6")
}

describe("SrtpKeys", () => {
  it("are those of RFC 3711 appendix B.3", () => {
    const keys = SrtpKeys.derive(master)
    assert.strictEqual(hexOf(keys?.encryption.export()), "c61e7a93744f39ee10734afe3ff7a087")
    assert.strictEqual(hexOf(keys?.salt), "30cbbc08863d8c85d49db34a9ae1")
    assert.strictEqual(hexOf(keys?.authentication.export()), "cebe321f6ff7716b6fd4ab49af256a156d38baa4")
  })

  it("of GCM are made with its shorter salt, filled up on the right (RFC 7714 §11)", () => {
    const short = { ...master, salt: hex("0EC675AD498AFEEBB6960B3A") }
    const filled = { ...master, salt: hex("0EC675AD498AFEEBB6960B3A0000") }
    const keys = SrtpKeys.derive({ ...short, profile: SrtpKeys.AEAD_AES_128_GCM })
    const other = SrtpKeys.derive(filled)
    assert.strictEqual(hexOf(keys?.encryption.export()), hexOf(other?.encryption.export()))
    assert.strictEqual(hexOf(keys?.salt), hexOf(other?.salt.subarray(0, 12)))
  })

  it("are not made of what does not fit", () => {
    assert.isUndefined(SrtpKeys.derive({ ...master, profile: SrtpKeys.AEAD_AES_128_GCM }))
    assert.isUndefined(SrtpKeys.derive({ ...master, profile: 0x0008 }))
    assert.isUndefined(SrtpKeys.derive({ ...master, key: hex("00") }))
  })
})

const script = { name: "node:crypto", make: SrtpCipher.makeScript }
const addon = NativeAddon.load()
const native =
  typeof addon === "string" || !addon.srtp
    ? []
    : [{ name: "our own addon", make: (keys: SrtpKeys.SrtpKeys) => SrtpCipher.makeNative(addon, keys) }]

for (const { make, name } of [script, ...native])
  describe(`SrtpCipher on ${name}`, () => {
    const made = (keys: SrtpKeys.SrtpKeys) => {
      const cipher = make(keys)
      assert.isDefined(cipher)
      return cipher
    }

    it("makes the key stream of RFC 3711 appendix B.2", () => {
      const authentication = createSecretKey(Buffer.alloc(20, 1))
      const cipher = made({
        profile: SrtpKeys.AES_CM_128_HMAC_SHA1_80,
        encryption: createSecretKey(hex("2B7E151628AED2A6ABF7158809CF4F3C")),
        authentication,
        salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
      })
      // SSRC, sequence number and rollover counter are 0, and so is the payload: what comes out is the key stream.
      const clear = Buffer.alloc(12 + 0xff02 * 16)
      clear[0] = 0x80
      const tag = createHmac("sha1", authentication).update(clear).update(Buffer.alloc(4)).digest().subarray(0, 10)
      const stream = cipher.open(Buffer.concat([clear, tag]), 12, 0)
      const block = (n: number) => hexOf(stream?.subarray(n * 16, n * 16 + 16))
      assert.strictEqual(block(0), "e03ead0935c95e80e166b16dd92b4eb4")
      assert.strictEqual(block(1), "d23513162b02d0f72a43a2fe4a5f97ab")
      assert.strictEqual(block(2), "41e95b3bb0a2e8dd477901e4fca894c0")
      assert.strictEqual(block(0xfeff), "ec8cdf7398607cb0f2d21675ea9ea1e4")
      assert.strictEqual(block(0xff00), "362b7c3c6773516318a077d7fc5073ae")
      assert.strictEqual(block(0xff01), "6a2cc3787889374fbeb4c81b17ba6c44")
    })

    it("opens the packet of RFC 7714 §16.1.1, and none in which one bit is another", () => {
      const cipher = made({
        profile: SrtpKeys.AEAD_AES_128_GCM,
        encryption: createSecretKey(hex("000102030405060708090a0b0c0d0e0f")),
        authentication: createSecretKey(Buffer.alloc(20)),
        salt: hex("517569642070726f2071756f")
      })
      const packet = hex(`8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
      42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce`)
      assert.strictEqual(
        Buffer.from(cipher.open(packet, 12, 0) ?? []).toString("latin1"),
        "Gallia est omnis divisa in partes tres"
      )
      assert.isUndefined(cipher.open(packet, 12, 1))
      for (let bit = 0; bit < packet.length * 8; bit++) {
        const changed = Buffer.from(packet)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        assert.isUndefined(cipher.open(changed, 12, 0), `bit ${bit}`)
      }
    })

    it("opens the packet that libsrtp proves itself with, from the master key on, and none in which one bit is another", () => {
      const packet = hex("800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb")
      assert.strictEqual(hexOf(SrtpReceiver.make(master)?.open(packet)), "ab".repeat(16))
      for (let bit = 0; bit < packet.length * 8; bit++) {
        const changed = Buffer.from(packet)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        assert.isUndefined(SrtpReceiver.make(master)?.open(changed), `bit ${bit}`)
      }
    })
  })
