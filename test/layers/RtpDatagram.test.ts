import { assert, describe, it } from "@effect/vitest"
import { RtpPacket } from "werift"
import * as RtpDatagram from "../../src/layers/RtpDatagram.ts"
import { rtp } from "../support/SrtpSender.ts"

const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)
const headerOf = (packet: Uint8Array) => {
  const header = RtpDatagram.emptyHeader()
  return RtpDatagram.read(packet, header) ? header : undefined
}
const levelOf = (extension: Uint8Array, id = 1) => RtpDatagram.audioLevel(rtp(1, { extension }).bytes, id)

describe("RtpDatagram", () => {
  it("tells RTP from all that shares its transport (RFC 7983 §7, RFC 5761 §4)", () => {
    const heard = Array.from({ length: 256 }, (_, first) => first).filter((first) =>
      RtpDatagram.isRtp(bytes(first, 111))
    )
    assert.deepStrictEqual([heard[0], heard.at(-1), heard.length], [128, 191, 64])
    for (const rtcp of [192, 200, 201, 205, 206, 223]) assert.isFalse(RtpDatagram.isRtp(bytes(0x80, rtcp)))
    for (const media of [0, 111, 127, 128, 128 + 63, 128 + 96, 255])
      assert.isTrue(RtpDatagram.isRtp(bytes(0x80, media)))
    assert.isFalse(RtpDatagram.isRtp(bytes()))
  })

  it("reads what werift reads", () => {
    const { bytes: packet, headerBytes } = rtp(70_000, { ssrc: 0xfedc_ba98, extension: bytes(0x10, 42) })
    const { header } = RtpPacket.deSerialize(packet)
    const { payloadType, sequenceNumber, ssrc, timestamp } = header
    const bytesBefore = header.payloadOffset
    assert.strictEqual(bytesBefore, headerBytes)
    assert.deepStrictEqual(headerOf(packet), { bytes: bytesBefore, payloadType, sequenceNumber, ssrc, timestamp })
    assert.isFalse(RtpDatagram.hasPadding(packet))
    assert.isTrue(RtpDatagram.hasPadding(rtp(1, { padding: 4 }).bytes))
  })

  it("knows where the payload begins, or that there is no whole header", () => {
    const { bytes: packet, headerBytes } = rtp(1, { extension: bytes(0x10, 42, 0, 0, 0) })
    for (let length = 0; length <= packet.length; length++) {
      assert.strictEqual(headerOf(packet.subarray(0, length))?.bytes, length < headerBytes ? undefined : headerBytes)
    }
    const sources = Buffer.concat([bytes(0x82), packet.subarray(1, 12), Buffer.alloc(8), bytes(1)])
    assert.strictEqual(headerOf(sources)?.bytes, 20)
    assert.strictEqual(headerOf(Buffer.alloc(40)), undefined)
  })

  it("reads the level behind padding and other elements, and nothing that is not there", () => {
    assert.strictEqual(levelOf(bytes(0x10, 0x80 | 42)), 42)
    assert.strictEqual(levelOf(bytes(0x10, 127)), 127)
    assert.strictEqual(levelOf(bytes(0x31, 1, 2, 0, 0x10, 5)), 5)
    assert.strictEqual(levelOf(bytes(0x31, 1, 2), 1), undefined)
    assert.strictEqual(levelOf(bytes(0xf0, 0, 0x10, 5)), undefined)
    assert.strictEqual(levelOf(bytes(0x31, 1, 2, 0x10)), undefined)
    assert.strictEqual(RtpDatagram.audioLevel(rtp(1).bytes, 1), undefined)
  })

  it("reads the level in elements with a header of two bytes, and in no other profile", () => {
    const packet = rtp(1, { extension: bytes(9, 2, 7, 7, 0, 1, 1, 0x80 | 33, 1, 0, 0, 0) }).bytes
    packet.writeUInt16BE(0x1000, 12)
    assert.strictEqual(RtpDatagram.audioLevel(packet, 1), 33)
    packet.writeUInt16BE(0x1234, 12)
    assert.strictEqual(RtpDatagram.audioLevel(packet, 1), undefined)
    const empty = rtp(1, { extension: bytes(1, 0, 0, 0) }).bytes
    empty.writeUInt16BE(0x1000, 12)
    assert.strictEqual(RtpDatagram.audioLevel(empty, 1), undefined)
  })
})
