import { Socket } from "node:dgram"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { RtpPacket } from "werift"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as RtpDatagram from "../../src/layers/RtpDatagram.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import * as WeriftPublisher from "../support/WeriftPublisher.ts"
import { connect, until } from "../support/WeriftScene.ts"

/** How many packets Node and werift themselves read when five are sent, and which ones are handed on. */
const heardBy = Effect.fnUntraced(function* (mediaPath: "batched" | "short" | "werift") {
  const read = vi.spyOn(RtpPacket, "deSerialize")
  yield* Effect.addFinalizer(() => Effect.sync(() => read.mockRestore()))
  const emitted = vi.spyOn(Socket.prototype, "emit")
  yield* Effect.addFinalizer(() => Effect.sync(() => emitted.mockRestore()))
  const publisher = yield* WeriftPublisher.make()
  const { packets } = yield* Effect.provide(
    connect(publisher),
    WeriftPeerConnection.layer({ hostAddresses: ["127.0.0.1"], mediaPath })
  )
  for (let n = 0; n < 5; n++) publisher.send(n, { audioLevel: 42 })
  yield* until("all are heard", () => packets.length === 5)
  const heard = packets.map(({ audioLevel, sequenceNumber }) => ({ audioLevel, sequenceNumber }))
  const readByNode = emitted.mock.calls.filter(
    ([event, bytes]) => event === "message" && bytes instanceof Uint8Array && RtpDatagram.isRtp(bytes)
  )
  return { heard, readByNode: readByNode.length, readByWerift: read.mock.calls.length }
}, Effect.scoped)

const five = Array.from({ length: 5 }, (_, n) => ({ audioLevel: 42, sequenceNumber: n }))

describe("the way of RTP", () => {
  it.live("passes Node's and werift's own by, unless that is asked for: what is heard is the same", () =>
    Effect.gen(function* () {
      const readByNode = typeof NativeAddon.load() === "string" ? 5 : 0
      assert.deepStrictEqual(yield* heardBy("batched"), { heard: five, readByNode, readByWerift: 0 })
      assert.deepStrictEqual(yield* heardBy("short"), { heard: five, readByNode: 5, readByWerift: 0 })
      assert.deepStrictEqual(yield* heardBy("werift"), { heard: five, readByNode: 5, readByWerift: 5 })
    })
  )
})
