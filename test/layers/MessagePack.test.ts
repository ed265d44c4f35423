import { assert, describe, it } from "@effect/vitest"
import { encode } from "@msgpack/msgpack"
import { Option } from "effect"
import * as MessagePack from "../../src/layers/MessagePack.ts"

/** 5 bytes each, which claim a million members. */
const listsInLists = (depth: number) => Array.from({ length: depth }, () => [0xdd, 0x00, 0x10, 0x00, 0x00]).flat()
const encoded = { type: [0xa4, ...Buffer.from("type")], pcm: [0xa3, ...Buffer.from("pcm")] }

describe("MessagePack", () => {
  it("reads maps of plain values and of lists of them", () => {
    for (const map of [
      {},
      { type: "Init" },
      { type: "Marker", id: 7 },
      {
        a: null,
        b: true,
        c: false,
        d: 1.5,
        e: -1,
        f: 70_000,
        g: 300,
        h: -40_000,
        i: -200,
        j: 2 ** 40,
        k: "x".repeat(300)
      },
      { type: "Audio", pcm: Array.from({ length: 1920 }, (_, n) => Math.sin(n)) },
      { type: "Step", prs: [0.1, 0.2], long: Array.from({ length: 70_000 }, (_, n) => n) }
    ]) {
      assert.deepStrictEqual(MessagePack.readMap(encode(map)), Option.some(map))
      assert.isTrue(Option.isSome(MessagePack.readMap(encode(map, { forceFloat32: true }))))
    }
    const bytes = Uint8Array.of(1, 2, 3)
    assert.deepStrictEqual(MessagePack.readMap(encode({ bytes })), Option.some({ bytes }))
  })

  it("reads nothing else", () => {
    for (const value of [
      null,
      1,
      "text",
      [],
      [{ a: 1 }],
      { a: { b: 1 } },
      { a: [[1]] },
      { a: [{}] },
      { a: new Date(0) }
    ]) {
      assert.isTrue(Option.isNone(MessagePack.readMap(encode(value))), JSON.stringify(value))
    }
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`a${n}`, n]))
    assert.isTrue(Option.isNone(MessagePack.readMap(encode(many))))
  })

  it("reads nothing that is cut, or has something behind it", () => {
    const whole = encode({ type: "Audio", pcm: [0.5, 1.5, -1], name: "x".repeat(40) })
    for (let length = 0; length < whole.length; length++) {
      assert.isTrue(Option.isNone(MessagePack.readMap(whole.subarray(0, length))), `${length} bytes`)
    }
    assert.isTrue(Option.isNone(MessagePack.readMap(Uint8Array.of(...whole, 0))))
  })

  it("makes no room for what a message only claims to have", () => {
    const claims = [
      listsInLists(60),
      [0x81, ...encoded.pcm, ...listsInLists(60)],
      [0xdf, 0xff, 0xff, 0xff, 0xff, ...encoded.type],
      [0x81, ...encoded.type, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]
    ]
    const before = process.memoryUsage().heapUsed
    for (const claim of claims) assert.isTrue(Option.isNone(MessagePack.readMap(Uint8Array.from(claim))))
    assert.isBelow(process.memoryUsage().heapUsed - before, 100_000_000)
  })
})
