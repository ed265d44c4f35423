import { assert, describe, it } from "@effect/vitest"
import { RTP_CLOCK_RATE } from "../../src/domain/Audio.ts"
import * as ReorderWindow from "../../src/layers/ReorderWindow.ts"
import * as RtpTimeline from "../../src/layers/RtpTimeline.ts"

const PACKET = 960
const ticks = (ms: number) => (ms * RTP_CLOCK_RATE) / 1000

/** A voice's packets: places them one after the other. */
const voice = () => {
  const timeline = RtpTimeline.make()
  let ssrc = 1
  return {
    timeline,
    say: (timestamp: number, atMs: number) => {
      const start = timeline.place(timestamp >>> 0, ssrc, atMs)
      timeline.extend(PACKET)
      return start
    },
    changeSource: () => {
      ssrc++
    }
  }
}

/** Numbers between 0 and 1, the same every time. */
const random = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe("RtpTimeline", () => {
  for (const ppm of [200, -200]) {
    it(`places 24 hours of a sender whose clock is ${ppm} ppm off to the tick, through loss, jitter and disorder`, () => {
      const hours = 24
      const packets = hours * 3600 * 50
      const chance = random(ppm + 1000)
      const timeline = RtpTimeline.make()
      const counters = { packets: 0, lost: 0, reordered: 0, late: 0 }
      // The sender's count of packets tells where each one belongs.
      let sent = 0
      let placed = 0
      let misplaced = 0
      const window = ReorderWindow.make(({ ssrc, timestamp }, atMs, lost) => {
        placed += lost
        const start = timeline.place(timestamp, ssrc, atMs)
        if (start !== placed * PACKET) misplaced++
        timeline.extend(PACKET)
        placed++
      }, counters)
      const payload = new Uint8Array(1)
      const push = (n: number, atMs: number) =>
        window.push(
          { sequenceNumber: n & 0xffff, timestamp: (n * PACKET + 4_000_000_000) >>> 0, ssrc: 1, payload },
          atMs
        )
      for (; sent < packets; sent++) {
        const atMs = sent * 20 * (1 + ppm / 1e6) + chance() * 15
        const kind = chance()
        if (kind < 0.002) continue
        if (kind < 0.01 && sent + 1 < packets) {
          push(sent + 1, atMs)
          push(sent, atMs + 1)
          sent++
        } else push(sent, atMs)
        if (kind > 0.995) push(sent, atMs + 2)
      }
      window.tick(Number.POSITIVE_INFINITY)
      assert.strictEqual(misplaced, 0)
      assert.approximately(placed, packets, 3)
      assert.isAbove(counters.lost, 5_000)
      assert.isAbove(counters.reordered, 20_000)
    })

    it(`a pause of hours keeps its place although the clock is ${ppm} ppm off`, () => {
      const { say } = voice()
      say(0, 0)
      const pauseMs = 11 * 3_600_000
      const start = say(ticks(pauseMs), pauseMs * (1 + ppm / 1e6))
      assert.approximately(start, ticks(pauseMs), ticks(pauseMs) * 0.0002)
    })
  }

  it("keeps what was said late, in a stall of the network, where it was said", () => {
    const { say } = voice()
    for (let n = 0; n < 50; n++) say(n * PACKET, n * 20)
    for (let n = 50; n < 300; n++) assert.strictEqual(say(n * PACKET, 6_000 + (n - 50) * 0.1), n * PACKET)
    assert.strictEqual(say(300 * PACKET, 6_030), 300 * PACKET)
  })

  it("a pause of the sender is one although it arrives in a burst behind a stall", () => {
    const { say } = voice()
    say(0, 0)
    // Sent at 20 ms and at 10 s, both arrive at 12 s.
    say(PACKET, 12_000)
    assert.strictEqual(say(ticks(10_000), 12_001), ticks(10_000))
  })

  it("a timestamp that is ahead of its arrival is no pause: the sound goes on where it was", () => {
    const { say } = voice()
    for (let n = 0; n < 50; n++) say(n * PACKET, n * 20)
    assert.strictEqual(say(ticks(31_000), 1_003), 50 * PACKET)
    assert.strictEqual(say(ticks(31_020), 1_020), 51 * PACKET)
  })

  it("a timestamp that steps back goes on where its arrival puts it", () => {
    const { say } = voice()
    for (let n = 0; n < 50; n++) say(ticks(100_000) + n * PACKET, n * 20)
    assert.strictEqual(say(5, 1_001), 50 * PACKET)
    assert.strictEqual(say(5 + PACKET, 1_021), 51 * PACKET)
  })

  it("a new source after a silence begins where its arrival puts it, and without one where the last ended", () => {
    const { changeSource, say } = voice()
    for (let n = 0; n < 50; n++) say(n * PACKET, n * 20)
    changeSource()
    assert.strictEqual(say(123_456, 3_980), ticks(3_980))
    assert.strictEqual(say(123_456 + PACKET, 4_000), ticks(4_000))
    changeSource()
    assert.strictEqual(say(99, 4_031), ticks(4_020))
  })
})
