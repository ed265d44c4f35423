/** Where one runner stopped hearing a voice, in the packets of another: by equal bytes, else by arrival. */
import { assert, describe, it } from "@effect/vitest"
import { SessionId } from "../../src/domain/Call.ts"
import * as VoiceGiven from "../../src/layers/VoiceGiven.ts"
import * as VoiceSplice from "../../src/layers/VoiceSplice.ts"

const key = { publisher: SessionId.make("ann"), roomType: "video" as const }
/** 20 ms of CELT, mono (RFC 6716 §3.1). */
const TOC = 31 << 3
const speech = (number: number) => Uint8Array.of(TOC, number & 0xff, number >> 8, 7)
const silence = () => Uint8Array.of(TOC, 0xff, 0xfe)
const dtx = () => Uint8Array.of(TOC)

interface Heard {
  readonly payload: (number: number) => Uint8Array
  /** Packets that the one has heard, and the first that is not said. */
  readonly until: number
  readonly unsaidFrom: number
}

const given = ({ payload, unsaidFrom, until }: Heard) =>
  VoiceGiven.give({
    id: "video:ann:0",
    key,
    mark: { position: unsaidFrom * 480, said: "" },
    tell: (position, listener) => {
      listener.begin(position, 0)
      for (let number = unsaidFrom; number < until; number++) listener.hear(number * 480, payload(number))
    },
    newest: (hear) => {
      for (let number = Math.max(0, until - 25); number < until; number++) hear(number * 480, payload(number))
    },
    quietMs: 5,
    isOver: false
  })

/** What the other has kept: other numbers, another clock. */
const kept = (payload: (number: number) => Uint8Array, from: number, until: number): Array<VoiceSplice.KeptPacket> =>
  Array.from({ length: until - from }, (_, index) => ({
    packet: {
      sequenceNumber: (65_500 + index) & 0xffff,
      timestamp: (4_294_960_000 + index * 960) >>> 0,
      ssrc: 77,
      payload: payload(from + index)
    },
    atMs: 1_000 + 20 * index
  }))

const payloadsOf = ({ packets }: VoiceSplice.SplicedVoice) => packets.map(({ packet }) => [...packet.payload].join())

describe("the other goes on", () => {
  it("exactly behind the last packet of the one, across both wrap-arounds", () => {
    const spliced = VoiceSplice.make(
      given({ payload: speech, until: 120, unsaidFrom: 101 }),
      kept(speech, 60, 150),
      9_999
    )
    assert.isTrue(spliced.isExact)
    const expected = Array.from({ length: 150 - 95 }, (_, index) => [...speech(95 + index)].join())
    assert.deepStrictEqual(payloadsOf(spliced), expected)
    assert.deepStrictEqual(spliced.begun, { position: 6 * 480, said: "", heard: 25 * 480 })
    const [first, ...others] = spliced.packets.map(({ packet }) => packet)
    let before = first
    for (const one of others) {
      assert.strictEqual(((one.sequenceNumber - (before?.sequenceNumber ?? 0)) & 0xffff) >>> 0, 1)
      assert.strictEqual((one.timestamp - (before?.timestamp ?? 0)) >>> 0, 960)
      assert.strictEqual(one.ssrc, 77)
      before = one
    }
  })

  it("where one of them has lost packets that the other has", () => {
    const lossy = kept(speech, 60, 150).filter((_, index) => index % 7 !== 0)
    const spliced = VoiceSplice.make(given({ payload: speech, until: 120, unsaidFrom: 101 }), lossy, 9_999)
    assert.isTrue(spliced.isExact)
    const behind = payloadsOf(spliced).slice(25)
    assert.strictEqual(behind[0], [...speech(120)].join())
    assert.strictEqual(new Set(payloadsOf(spliced)).size, spliced.packets.length)
  })

  it("although the one was ahead when it stopped: what comes later is still compared", () => {
    const spliced = VoiceSplice.make(
      given({ payload: speech, until: 120, unsaidFrom: 101 }),
      kept(speech, 60, 115),
      9_999
    )
    assert.strictEqual(spliced.packets.length, 25)
    const later = kept(speech, 60, 130)
    const isBehind = (number: number) => {
      const one = later[number - 60]
      return one !== undefined && spliced.isBehind(one.packet, one.atMs)
    }
    assert.deepStrictEqual([118, 119, 120, 121].map(isBehind), [false, false, true, true])
  })

  it("in silence whose packets are all alike, by where it began", () => {
    const pause = (number: number) => (number < 90 ? speech(number) : silence())
    const spliced = VoiceSplice.make(given({ payload: pause, until: 100, unsaidFrom: 95 }), kept(pause, 60, 140), 9_999)
    assert.isTrue(spliced.isExact)
    assert.strictEqual(spliced.packets.length, 140 - 89)
  })

  it("in a pause that is like the one before: what is said next is not taken for said", () => {
    const pauses = (number: number) => (number < 17 || (number >= 77 && number < 110) ? silence() : speech(number))
    const spliced = VoiceSplice.make(
      given({ payload: pauses, until: 90, unsaidFrom: 0 }),
      kept(pauses, 83, 100),
      1_000 + 20 * (90 - 83)
    )
    const next = kept(pauses, 83, 120).slice(110 - 83)
    assert.isTrue(next.every(({ atMs, packet }) => spliced.isBehind(packet, atMs)))
    // all that the one gave, then what came behind it
    assert.strictEqual(spliced.packets.length, 90 + 10)
  })

  it("by arrival where nothing that was sent tells, with what was not said before it", () => {
    for (const payload of [dtx, silence]) {
      const spliced = VoiceSplice.make(given({ payload, until: 100, unsaidFrom: 90 }), kept(payload, 60, 140), 2_005)
      assert.isFalse(spliced.isExact)
      // packets of the other that came after 2,000 ms
      assert.strictEqual(spliced.packets.filter(({ atMs }) => atMs > 2_000).length, 29)
    }
  })

  it("with all it has of somebody whom the one had not heard", () => {
    const all = kept(speech, 0, 20)
    const spliced = VoiceSplice.make(given({ payload: speech, until: 0, unsaidFrom: 0 }), all, 9_999)
    assert.deepStrictEqual(spliced.packets, all)
    assert.isUndefined(spliced.begun)
  })
})

describe("what is given", () => {
  it("fits into a message of the cluster: the longest goes first, the others whole", () => {
    const voice = (bytes: number) => ({
      ...given({ payload: speech, until: 1, unsaidFrom: 0 }),
      speech: new Uint8Array(bytes)
    })
    const { lost, voices } = VoiceGiven.within([voice(100), voice(5_000), voice(300)], 1_000)
    assert.strictEqual(lost, 1)
    assert.deepStrictEqual(
      voices.map(({ speech }) => speech.length),
      [100, 0, 300]
    )
  })
})
