/**
 * Two speakers and six phrases of which no frame is like another, but for one that lies across two of them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arrivals from "../../bench/speakers/Arrivals.ts"
import { type Material, QUIETEST } from "../../bench/speakers/Material.ts"

const PHRASES = 6
const PHRASE_PACKETS = 40
const FRAME = 4
/** Between the first packet of a part and the same of the next. */
const PACKET_MS = 20
const FROM_MS = 1_000_000

/** Far enough from each other that none is taken for its neighbour. */
const loudness = (() => {
  const material = Uint8Array.from({ length: PHRASES * PHRASE_PACKETS + 1 }, (_, n) => (n * 61 + ((n * n) % 97)) % 180)
  material[PHRASES * PHRASE_PACKETS] = QUIETEST
  return material
})()
const material: Material = {
  packets: [],
  loudness,
  phrases: PHRASES,
  phrasePackets: PHRASE_PACKETS,
  silentPackets: 1
}
const phrasesInOrder = (order: ReadonlyArray<number>) =>
  Uint16Array.from(
    order.flatMap((phrase) => Array.from({ length: PHRASE_PACKETS }, (_, n) => phrase * PHRASE_PACKETS + n))
  )

const parts = [phrasesInOrder([0, 1, 2, 3, 4, 5]), phrasesInOrder([5, 3, 1, 4, 2, 0])]
const packets = parts[0]?.length ?? 0

/** Both send a packet every 20 ms. */
const sent = {
  atMs: Float64Array.from({ length: packets }, (_, n) => FROM_MS + n * PACKET_MS),
  untilPacket: Float64Array.from({ length: packets }, (_, n) => (n + 1) * parts.length)
}

/** A session that hears a part in frames of four packets from packet `first` on, each so long after its last packet was sent. */
const session = (part: Uint16Array, first: number, lateMs: (frame: number) => number) => {
  const frames = Math.floor((part.length - first) / FRAME)
  const heard = part.subarray(first, first + frames * FRAME)
  return {
    atMs: Float64Array.from(
      { length: frames },
      (_, frame) => FROM_MS + (first + frame * FRAME + FRAME - 1) * PACKET_MS + lateMs(frame)
    ),
    loudness: Uint8Array.from(heard, (packet) => loudness[packet] ?? QUIETEST)
  }
}
const find = (sessions: ReadonlyArray<ReturnType<typeof session>>) =>
  Arrivals.find({ material, parts, sent, sessions, fromMs: FROM_MS, untilMs: FROM_MS + packets * PACKET_MS })

const [one = new Uint16Array(), other = new Uint16Array()] = parts

describe("Arrivals", () => {
  it("says how late each frame was, of whomever it is", () => {
    const { delaysMs, strangers } = find([
      session(one, 0, () => 7),
      session(other, 0, (frame) => (frame < 30 ? 9 : 900))
    ])
    assert.strictEqual(strangers, 0)
    const many = (ms: number) => delaysMs.filter((delay) => Math.round(delay) === ms).length
    assert.deepStrictEqual([many(7) > 40, many(9) > 15, many(900) > 20], [true, true, true])
    assert.strictEqual(many(7) + many(9) + many(900), delaysMs.length)
  })

  it("does not take a frame across two phrases for one that was said long before and is like it", () => {
    const heard = session(one, 2, () => 7)
    // The tenth lies across the first two phrases; here it is like one of the first phrase's beginning.
    heard.loudness.set(loudness.subarray(8, 12), 9 * FRAME)
    const { delaysMs } = find([heard])
    assert.isAbove(delaysMs.length, 40)
    assert.deepStrictEqual(
      delaysMs.filter((delay) => Math.round(delay) !== 7),
      []
    )
  })
})
