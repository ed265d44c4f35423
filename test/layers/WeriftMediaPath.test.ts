import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { RtpPacket } from "werift"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import * as WeriftPublisher from "../support/WeriftPublisher.ts"
import { connect, until } from "../support/WeriftScene.ts"

/** How many packets werift itself reads when five are sent, and which ones are handed on. */
const heardBy = Effect.fnUntraced(function* (mediaPath: "short" | "werift") {
  const read = vi.spyOn(RtpPacket, "deSerialize")
  yield* Effect.addFinalizer(() => Effect.sync(() => read.mockRestore()))
  const publisher = yield* WeriftPublisher.make()
  const { packets } = yield* Effect.provide(
    connect(publisher),
    WeriftPeerConnection.layer({ hostAddresses: ["127.0.0.1"], mediaPath })
  )
  for (let n = 0; n < 5; n++) publisher.send(n, { audioLevel: 42 })
  yield* until("all are heard", () => packets.length === 5)
  const heard = packets.map(({ audioLevel, sequenceNumber }) => ({ audioLevel, sequenceNumber }))
  return { heard, readByWerift: read.mock.calls.length }
})

const five = Array.from({ length: 5 }, (_, n) => ({ audioLevel: 42, sequenceNumber: n }))

describe("the way of RTP", () => {
  it.live("passes werift's own by, unless that is asked for: what is heard is the same", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* heardBy("short"), { heard: five, readByWerift: 0 })
      assert.deepStrictEqual(yield* heardBy("werift"), { heard: five, readByWerift: 5 })
    }).pipe(Effect.scoped)
  )
})
