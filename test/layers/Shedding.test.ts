/** What a process that cannot keep up leaves out, and that it comes back by itself. */
import { assert, describe, it } from "@effect/vitest"
import * as Shedding from "../../src/layers/Shedding.ts"

const SOUND_MS = 20
/** What is not decoded has been received and opened all the same. */
const SHED_COST = 0.2
/** 212,992 bytes, the kernel's default, in packets of 300 bytes as it counts them. */
const SOCKET_PACKETS = 166

interface Load {
  readonly voices: number
  /** Milliseconds it takes to decode a packet, by the time. */
  readonly costMs: (atMs: number) => number
  readonly forMs: number
  readonly sheds?: boolean
}

/** A process that does one thing at a time, and sockets that take no more when they are full. */
const run = ({ costMs, forMs, sheds = true, voices }: Load) => {
  let nowMs = 0
  let idleMs = 0
  let busySinceMs = 0
  const all = Array.from({ length: voices }, (_, ssrc) => ({
    ssrc,
    socket: [] as number[],
    shedding: Shedding.make(() => sheds && nowMs - busySinceMs > 1_000),
    overflown: 0,
    sent: 0,
    lateMs: 0
  }))
  const latest: Array<{ readonly atMs: number; readonly lateMs: number }> = []
  const arrive = () => {
    for (const voice of all) {
      for (; voice.sent * SOUND_MS <= nowMs; voice.sent++) {
        if (voice.socket.length < SOCKET_PACKETS) voice.socket.push(voice.sent)
        else voice.overflown++
      }
    }
  }
  while (nowMs < forMs) {
    arrive()
    let idle = true
    for (const { shedding, socket, ssrc } of all) {
      const packet = socket.shift()
      if (packet === undefined) continue
      idle = false
      const takes = shedding.takes({ ssrc, timestamp: packet * SOUND_MS * 48 }, nowMs)
      if (takes) latest.push({ atMs: nowMs, lateMs: nowMs - packet * SOUND_MS })
      nowMs += costMs(nowMs) * (takes ? 1 : SHED_COST)
    }
    if (!idle) continue
    idleMs += 1
    nowMs += 1
    busySinceMs = nowMs
  }
  const lateBetween = (fromMs: number, untilMs: number) =>
    Math.max(...latest.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs).map(({ lateMs }) => lateMs))
  return {
    lateBetween,
    idleMs,
    shed: all.map(({ shedding }) => shedding.shed()),
    lost: all.map((one) => one.overflown)
  }
}

describe("a process that has to do more than it can", () => {
  const overload = { voices: 10, forMs: 60_000, costMs: (atMs: number) => (atMs < 40_000 ? 2.6 : 1.9) }

  it("is late by all that its sockets hold, and stays so, if it decodes everything", () => {
    const { lateBetween, lost } = run({ ...overload, sheds: false })
    assert.isAtLeast(Math.min(...lost), 100)
    assert.isAbove(lateBetween(30_000, 40_000), 3_000)
    assert.isAbove(lateBetween(50_000, 60_000), 2_000)
  })

  it("leaves out the oldest, of everybody the same, and nothing is thrown away before it was seen", () => {
    const { lateBetween, lost, shed } = run(overload)
    assert.deepStrictEqual(new Set(lost), new Set([0]))
    assert.isAtLeast(Math.min(...shed), 50)
    // in pieces of about a hundred packets, and not all have had their last one
    assert.isAtMost(Math.max(...shed), Math.min(...shed) * 1.6)
    assert.isBelow(lateBetween(0, 40_000), 2_500)
  })

  it("is in time again a few seconds after the load has ended, however little less it is", () => {
    const { lateBetween } = run(overload)
    assert.isBelow(lateBetween(47_000, 60_000), 400)
  })

  it("keeps everything where it is late for a moment", () => {
    const standstill = (atMs: number) => (atMs > 20_000 && atMs < 20_010 ? 3_000 : 1)
    const { shed } = run({ voices: 10, forMs: 60_000, costMs: standstill })
    assert.deepStrictEqual(new Set(shed), new Set([0]))
  })
})

describe("a voice", () => {
  const packets = (shedding: Shedding.Shedding, from: number, count: number, lateMs: number) =>
    Array.from({ length: count }, (_, n) =>
      shedding.takes({ ssrc: 1, timestamp: ((from + n) * SOUND_MS * 48) >>> 0 }, (from + n) * SOUND_MS + lateMs)
    ).filter((takes) => !takes).length

  it("that the network delays is heard, and so is one whose clock is a little slow", () => {
    const shedding = Shedding.make(() => false)
    assert.strictEqual(packets(shedding, 0, 500, 0) + packets(shedding, 500, 2000, 900), 0)
    const slow = Shedding.make(() => true)
    const takes = Array.from({ length: 100_000 }, (_, n) =>
      slow.takes({ ssrc: 1, timestamp: (n * SOUND_MS * 48) >>> 0 }, n * SOUND_MS * 1.0005)
    )
    assert.isTrue(takes.every(Boolean))
  })

  it("whose clock jumps while the process is busy loses little, once", () => {
    const shedding = Shedding.make(() => true)
    packets(shedding, 0, 500, 0)
    const shed = packets(shedding, 500, 5000, 2_000)
    assert.isAbove(shed, 0)
    assert.isAtMost(shed, 200)
  })

  it("of another source begins anew, also where the clock of the timestamps begins anew", () => {
    const shedding = Shedding.make(() => true)
    packets(shedding, 0, 100, 0)
    assert.isTrue(shedding.takes({ ssrc: 2, timestamp: 0xffff_ff00 }, 5_000))
    const rest = Array.from({ length: 1000 }, (_, n) =>
      shedding.takes({ ssrc: 2, timestamp: (0xffff_ff00 + (n + 1) * 960) >>> 0 }, 5_020 + n * SOUND_MS)
    )
    assert.isTrue(rest.every(Boolean))
  })
})
