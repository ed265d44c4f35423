import { assert, describe, it } from "@effect/vitest"
import { RtpHeader, SrtpSession } from "werift"
import * as SrtpKeys from "../../src/layers/SrtpKeys.ts"
import * as SrtpReceiver from "../../src/layers/SrtpReceiver.ts"
import { protect, type RtpOptions } from "../support/SrtpSender.ts"

const profiles = [
  { name: "AEAD_AES_128_GCM", profile: SrtpKeys.AEAD_AES_128_GCM, saltBytes: 12 },
  { name: "AES_CM_128_HMAC_SHA1_80", profile: SrtpKeys.AES_CM_128_HMAC_SHA1_80, saltBytes: 14 }
]
const key = Buffer.from(Array.from({ length: 16 }, (_, n) => n * 7))
const round = 0x1_0000

const present = <A>(value: A | undefined): A => {
  if (value === undefined) throw new Error("there should be one")
  return value
}

/** xorshift32: the same on every run. */
const randomly = (seed: number) => {
  let state = seed
  return (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

for (const { name, profile, saltBytes } of profiles) {
  const master = { profile, key, salt: Buffer.alloc(saltBytes, 0x5a) }
  const keys = present(SrtpKeys.derive(master))
  const make = () => present(SrtpReceiver.make(master))
  const sealed = (index: number, options?: RtpOptions) => protect(keys, index, options)
  const firstByte = (payload: Uint8Array | undefined) => payload?.[0]

  describe(`SrtpReceiver, ${name}`, () => {
    it("hears werift's sender through two ends of the sequence numbers", { timeout: 180_000 }, () => {
      const session = new SrtpSession({
        keys: {
          localMasterKey: key,
          localMasterSalt: master.salt,
          remoteMasterKey: key,
          remoteMasterSalt: master.salt
        },
        profile
      })
      const receiver = make()
      const lost: Array<number> = []
      for (let index = 65_000; index < 2 * round + 100; index++) {
        const header = new RtpHeader({ payloadType: 111, sequenceNumber: index % round, timestamp: index, ssrc: 9 })
        const packet = session.encrypt(Buffer.from([index & 0xff, 1]), header)
        if (firstByte(receiver.open(packet)) !== (index & 0xff)) lost.push(index)
      }
      assert.deepStrictEqual(lost, [])
    })

    it("keeps to the stream where packets are lost, early and late around each wrap", () => {
      const receiver = make()
      for (const wrap of [round, 2 * round, 3 * round, 4 * round]) {
        // 700 around the wrap are lost, and so are many thousands between the wraps.
        for (const index of [wrap - 301, wrap - 300, wrap + 400, wrap + 402, wrap + 401, wrap + 30_000]) {
          assert.strictEqual(firstByte(receiver.open(sealed(index))), index & 0xff, `index ${index}`)
        }
        // Late by the whole of the wrap, within the window.
        for (const index of [wrap + 32_700, wrap + 32_700 - 127]) assert.isDefined(receiver.open(sealed(index)))
        assert.isDefined(receiver.open(sealed(wrap + 64_999)))
      }
      const [before, behind] = [5 * round - 1, 5 * round]
      assert.isDefined(receiver.open(sealed(behind)))
      assert.isDefined(receiver.open(sealed(before)))
      assert.isDefined(receiver.open(sealed(behind + 1)))
    })

    it("finds the second round when it heard nothing of the first, and no further one", () => {
      assert.isDefined(make().open(sealed(round)))
      assert.isDefined(make().open(sealed(round + 32_767)))
      assert.isUndefined(make().open(sealed(round + 32_768)))
      assert.isUndefined(make().open(sealed(2 * round)))
    })

    it("opens each packet once, and none that is older than the window", () => {
      const receiver = make()
      const first = sealed(1000)
      assert.isDefined(receiver.open(first))
      assert.isUndefined(receiver.open(first))
      assert.isDefined(receiver.open(sealed(1127)))
      assert.isUndefined(receiver.open(first))
      assert.isDefined(receiver.open(sealed(1001)))
      assert.isUndefined(receiver.open(sealed(1001)))
      assert.isDefined(receiver.open(sealed(1128)))
      assert.isUndefined(receiver.open(sealed(1000)))
      assert.isUndefined(receiver.open(sealed(999)))
      // Of before the stream began.
      const young = make()
      assert.isDefined(young.open(sealed(3)))
      assert.isUndefined(young.open(sealed(round - 5)))
      assert.isDefined(young.open(sealed(2)))
    })

    it("is not moved by packets that are not authentic", () => {
      const receiver = make()
      assert.isDefined(receiver.open(sealed(65_000)))
      const forged = (index: number) => {
        const packet = sealed(index)
        packet.writeUInt8(packet.readUInt8(packet.length - 1) ^ 1, packet.length - 1)
        return packet
      }
      for (let index = 65_001; index < 2 * round; index += 97) assert.isUndefined(receiver.open(forged(index)))
      assert.isDefined(receiver.open(sealed(65_001)))
      assert.isDefined(receiver.open(sealed(64_999)))
    })

    it("tells sources apart", () => {
      const receiver = make()
      for (let index = 0; index < 300; index++) {
        assert.isDefined(receiver.open(sealed(index, { ssrc: 1 })))
        assert.isDefined(receiver.open(sealed(index + 65_400, { ssrc: 2 })))
      }
      assert.isUndefined(receiver.open(sealed(299, { ssrc: 1 })))
      // More sources than it remembers: the newest are heard all the same.
      for (let ssrc = 10; ssrc < 100; ssrc++) assert.isDefined(receiver.open(sealed(5, { ssrc })))
      assert.isUndefined(receiver.open(sealed(5, { ssrc: 99 })))
      assert.isDefined(receiver.open(sealed(6, { ssrc: 99 })))
    })

    it("takes extension and padding off, and nothing that claims more padding than there is", () => {
      const receiver = make()
      const payload = Uint8Array.of(9, 8, 7)
      const extension = Uint8Array.of(0x10, 0x2a, 0, 0, 0, 0, 0, 0)
      assert.deepStrictEqual([...present(receiver.open(sealed(1, { payload, extension })))], [9, 8, 7])
      assert.deepStrictEqual([...present(receiver.open(sealed(2, { payload, extension, padding: 5 })))], [9, 8, 7])
      assert.deepStrictEqual([...present(receiver.open(sealed(3, { payload: new Uint8Array(0) })))], [])
      for (const lastByte of [0, 5, 255]) {
        const packet = sealed(4, { payload: Uint8Array.of(1, 2, 3), padding: 1, lastByte })
        assert.isUndefined(receiver.open(packet), `${lastByte} of 4 bytes`)
      }
    })

    it("never throws, whatever comes, and goes on", () => {
      const receiver = make()
      const random = randomly(7)
      assert.isDefined(receiver.open(sealed(0)))
      for (let length = 0; length < 60; length++) {
        assert.isUndefined(receiver.open(sealed(1).subarray(0, length).subarray(0, 22)))
        assert.isUndefined(receiver.open(new Uint8Array(length).fill(0xff)))
        assert.isUndefined(receiver.open(new Uint8Array(length).fill(0x9f)))
      }
      for (let n = 0; n < 3000; n++) {
        const packet = n % 2 === 0 ? Buffer.from(sealed(1 + random(4))) : Buffer.alloc(random(200))
        const at = random(packet.length + 1)
        if (n % 2 === 0 && at < packet.length) packet.writeUInt8(packet.readUInt8(at) ^ (1 + random(255)), at)
        else for (let i = 0; i < packet.length; i++) packet.writeUInt8(random(256), i)
        if (at < packet.length || n % 2 === 1) assert.isUndefined(receiver.open(packet))
      }
      assert.isDefined(receiver.open(sealed(1)))
    })

    it("gives each packet at most once and as it was said, in any order, with loss, copies and forgeries", () => {
      for (let seed = 1; seed <= 5; seed++) {
        const random = randomly(seed)
        const receiver = make()
        const given = new Set<number>()
        let newest = 60_000
        assert.isDefined(receiver.open(sealed(newest)))
        given.add(newest)
        for (let n = 0; n < 4000; n++) {
          const jump = random(50) === 0 ? random(3000) : random(4)
          const index = random(3) === 0 ? Math.max(0, newest - random(200)) : newest + jump
          const packet = sealed(index, { payload: Buffer.from(String(index)) })
          const isForged = random(10) === 0
          if (isForged) packet.writeUInt8(packet.readUInt8(13) ^ 0x10, 13)
          const payload = receiver.open(packet)
          const isWanted = !isForged && !given.has(index) && index > newest - 128
          assert.strictEqual(
            payload === undefined ? undefined : Buffer.from(payload).toString(),
            isWanted ? String(index) : undefined
          )
          if (!isWanted) continue
          given.add(index)
          newest = Math.max(newest, index)
        }
      }
    })
  })
}
