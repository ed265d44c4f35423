/**
 * These fail when another version of werift leads media another way: what is proven here is that RTP goes past werift, and all else to it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import {
  RTCDtlsTransport,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  type RtcpPacket,
  RtcpRrPacket,
  type RtpPacket
} from "werift"
import * as SrtpKeys from "../../src/layers/SrtpKeys.ts"
import * as WeriftMedia from "../../src/layers/WeriftMedia.ts"
import type { Passage } from "../../src/services/PeerConnection.ts"
import { protect } from "../support/SrtpSender.ts"
import * as WeriftPublisher from "../support/WeriftPublisher.ts"
import { connect as connectPeer, layer, pause, until } from "../support/WeriftScene.ts"

const listener = Effect.acquireRelease(
  Effect.sync(
    () =>
      new RTCPeerConnection({
        iceUseIpv6: false,
        iceAdditionalHostAddresses: ["127.0.0.1"],
        bundlePolicy: "max-bundle",
        codecs: {
          audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48_000, channels: 2 })],
          video: []
        }
      })
  ),
  (connection) => Effect.promise(() => connection.close())
)

/** A publisher and a bare connection of werift's, on which `before` is done as soon as its handshake is. */
const connect = Effect.fnUntraced(function* (
  profile: number,
  before: (transport: RTCDtlsTransport) => void = () => {}
) {
  const publisher = yield* WeriftPublisher.make()
  const connection = yield* listener
  yield* Effect.promise(() => connection.setRemoteDescription({ type: "offer", sdp: publisher.offer }))
  const [transport] = connection.dtlsTransports
  if (transport === undefined) throw new Error("no transport")
  Reflect.set(transport, "srtpProfiles", [profile])
  const [ice] = connection.iceTransports
  // werift would ask a server of Google's.
  if (ice !== undefined) delete ice.connection.stunServer
  const taken: Array<{ readonly sequence: number; readonly payload: ReadonlyArray<number> }> = []
  const refused: Array<number> = []
  const defects: Array<number> = []
  const passed: Array<RtpPacket> = []
  const rtcp: Array<RtcpPacket> = []
  let nowMs = 0
  let isTaken: boolean | undefined
  let passage: Passage = "open"
  let isSilent = true
  let heardMs = () => Number.NaN
  transport.onRtp.subscribe((packet) => passed.push(packet))
  transport.onRtcp.subscribe((packet) => rtcp.push(packet))
  transport.onStateChange.subscribe((state) => {
    if (state !== "connected") return
    before(transport)
    isTaken =
      WeriftMedia.take(transport, {
        now: () => nowMs,
        listener: {
          onPacket: ({ payload, sequenceNumber }) => taken.push({ sequence: sequenceNumber, payload: [...payload] }),
          silence: { passage: () => passage, isSilent: () => isSilent }
        },
        offer: () => ({ opus: new Set([WeriftPublisher.opusPayloadType]), levelId: WeriftPublisher.levelId }),
        consents: {
          keep: (_, heard) => {
            heardMs = heard
            return undefined
          }
        },
        onRefused: () => refused.push(nowMs),
        onDefect: () => defects.push(nowMs)
      }) !== undefined
  })
  yield* Effect.promise(async () => connection.setLocalDescription(await connection.createAnswer()))
  yield* publisher.answer(connection.localDescription?.sdp ?? "")
  yield* until("connected", () => isTaken !== undefined && publisher.isConnected())
  return {
    publisher,
    transport,
    taken,
    refused,
    passed,
    rtcp,
    isTaken: () => isTaken,
    /** As whoever keeps its consent is told. */
    heardMs: () => heardMs(),
    at: (ms: number) => {
      nowMs = ms
    },
    /** What becomes of packets from now on, and what is found by those who look. */
    pass: (next: Passage, silent = true) => {
      passage = next
      isSilent = silent
    }
  }
})

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), 180_000)

describe("WeriftMedia", () => {
  for (const [name, profile] of [
    ["AEAD_AES_128_GCM", SrtpKeys.AEAD_AES_128_GCM],
    ["AES_CM_128_HMAC_SHA1_80", SrtpKeys.AES_CM_128_HMAC_SHA1_80]
  ] as const) {
    live(
      `${name}: RTP goes past werift, each packet once; what is not authentic goes nowhere`,
      Effect.gen(function* () {
        const { isTaken, passed, publisher, refused, taken, transport } = yield* connect(profile)
        assert.strictEqual(transport.srtp.config.profile, profile)
        assert.isTrue(isTaken())
        for (const sequence of [65_534, 65_535, 0, 1]) publisher.send(sequence, { audioLevel: 3 })
        yield* until("four packets", () => taken.length === 4)
        assert.deepStrictEqual(
          taken.map(({ sequence }) => sequence),
          [65_534, 65_535, 0, 1]
        )
        assert.deepStrictEqual(taken[0]?.payload, [0x78, 254, 1, 2, 3])
        publisher.send(1)
        const { onData } = transport.iceTransport.connection
        for (let length = 0; length < 60; length++) onData.execute(Buffer.alloc(length, 0x80))
        yield* until("refusals", () => refused.length === 60)
        // By another way, as through a relay.
        const { keys: masters } = transport.srtp.config
        const keys = SrtpKeys.derive({ profile, key: masters.remoteMasterKey, salt: masters.remoteMasterSalt })
        assert.isDefined(keys)
        if (keys !== undefined) onData.execute(protect(keys, 0x1_0002, { ssrc: WeriftPublisher.ssrc }))
        assert.strictEqual(taken.at(-1)?.sequence, 2)
        assert.deepStrictEqual([taken.length, passed.length, transport.packetsReceived], [5, 0, 0])
      })
    )
  }

  live(
    "what is passed over is opened when it is wanted, in order and before what follows",
    Effect.gen(function* () {
      const { at, pass, publisher, refused, rtcp, taken } = yield* connect(SrtpKeys.AEAD_AES_128_GCM)
      const count = (wanted: number) => until(`${wanted} packets`, () => taken.length === wanted)
      publisher.send(0)
      yield* count(1)
      pass("shut")
      for (let n = 1; n <= 5; n++) publisher.send(n)
      yield* pause(100)
      assert.strictEqual(taken.length, 1)
      pass("open")
      publisher.send(6)
      yield* count(7)
      pass("look")
      publisher.send(7)
      publisher.send(8)
      yield* pause(100)
      assert.strictEqual(taken.length, 7)
      pass("look", false)
      publisher.send(9)
      yield* count(10)
      assert.deepStrictEqual(
        taken.map(({ payload: [, first], sequence }) => [sequence, first]),
        Array.from({ length: 10 }, (_, n) => [n, n])
      )
      assert.strictEqual(refused.length, 0)
      // Nothing of it was lost.
      at(180_000)
      publisher.sendReport()
      yield* until("an answer", () => publisher.heardRtcp.length === 1)
      const [answer] = publisher.heardRtcp
      assert.instanceOf(answer, RtcpRrPacket)
      if (answer instanceof RtcpRrPacket) assert.deepInclude(answer.reports[0], { packetsLost: 0, highestSequence: 9 })
      assert.strictEqual(rtcp.length, 1)
    })
  )

  live(
    "what was heard last is what was authentic: opened, or looked at",
    Effect.gen(function* () {
      const { at, heardMs, pass, publisher, refused, taken, transport } = yield* connect(SrtpKeys.AEAD_AES_128_GCM)
      assert.strictEqual(heardMs(), Number.NEGATIVE_INFINITY)
      at(1000)
      publisher.send(0)
      yield* until("a packet", () => taken.length === 1)
      assert.strictEqual(heardMs(), 1000)
      at(2000)
      pass("look")
      publisher.send(1)
      yield* until("a look", () => heardMs() === 2000)
      at(3000)
      pass("open")
      transport.iceTransport.connection.onData.execute(Buffer.alloc(60, 0x80))
      assert.strictEqual(refused.length, 1)
      assert.strictEqual(heardMs(), 2000)
    })
  )

  live(
    "keys of a kind that is not known here leave everything to werift",
    Effect.gen(function* () {
      const { isTaken, passed, publisher, taken } = yield* connect(SrtpKeys.AEAD_AES_128_GCM, ({ srtp }) => {
        srtp.config = { ...srtp.config, profile: 0x0008 }
      })
      assert.isFalse(isTaken())
      publisher.send(1)
      yield* until("a packet", () => passed.length === 1)
      assert.deepStrictEqual(taken, [])
    })
  )

  live(
    "a peer then hears as before, level included",
    Effect.gen(function* () {
      const { updateSrtpSession } = RTCDtlsTransport.prototype
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          RTCDtlsTransport.prototype.updateSrtpSession = function () {
            updateSrtpSession.call(this)
            this.srtp.config = { ...this.srtp.config, profile: 0x0008 }
          }
        }),
        () =>
          Effect.sync(() => {
            RTCDtlsTransport.prototype.updateSrtpSession = updateSrtpSession
          })
      )
      const publisher = yield* WeriftPublisher.make()
      const { packets } = yield* connectPeer(publisher)
      publisher.send(1, { audioLevel: 42 })
      yield* until("a packet", () => packets.length === 1)
      assert.deepInclude(packets[0], { sequenceNumber: 1, ssrc: WeriftPublisher.ssrc, audioLevel: 42 })
    }).pipe(Effect.provide(layer))
  )

  live(
    "RTCP goes to werift; a sender report is answered with how its source is received, every 5 s; those in between are not opened",
    Effect.gen(function* () {
      const { at, publisher, rtcp, taken } = yield* connect(SrtpKeys.AEAD_AES_128_GCM)
      for (const sequence of [65_535, 0, 3]) publisher.send(sequence)
      yield* until("the packets", () => taken.length === 3)
      const reports = () => publisher.heardRtcp.filter((packet) => packet instanceof RtcpRrPacket)
      at(10_000)
      publisher.sendReport()
      yield* until("a report", () => reports().length === 1)
      const [report] = reports()[0]?.reports ?? []
      assert.deepInclude(report?.toJSON(), {
        ssrc: WeriftPublisher.ssrc,
        fractionLost: 102,
        packetsLost: 2,
        highestSequence: 0x1_0003,
        lsr: WeriftPublisher.reportedAt.compact
      })
      at(14_400)
      publisher.sendReport()
      publisher.send(4)
      yield* until("what was sent behind it", () => taken.length === 4)
      at(15_000)
      publisher.sendReport()
      yield* until("the next report", () => reports().length === 2)
      assert.strictEqual(rtcp.length, 2)
    })
  )

  live(
    "a goodbye still comes through",
    Effect.gen(function* () {
      const { publisher, transport } = yield* connect(SrtpKeys.AEAD_AES_128_GCM)
      publisher.hangUp()
      yield* until("closed", () => transport.state === "closed")
    })
  )
})
