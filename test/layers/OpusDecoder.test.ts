import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import {
  type Arrival,
  difference,
  hasAddon,
  hasNative,
  hear,
  payloads,
  type Sender,
  send,
  tone
} from "../support/OpusRecordings.ts"

const mono = payloads("mono20")
const without = (arrivals: ReadonlyArray<Arrival>, from: number, count: number) =>
  arrivals.filter((_, n) => n < from || n >= from + count)
const at = <A>(list: ReadonlyArray<A>, n: number): A => {
  const one = list[n]
  assert.isDefined(one)
  return one
}
const swapped = (arrivals: ReadonlyArray<Arrival>, n: number, m: number) =>
  arrivals.map((one, index) => ({
    atMs: one.atMs,
    packet: at(arrivals, index === n ? m : index === m ? n : index).packet
  }))
/** Samples the sound lags behind what was encoded. */
const lag = (pcm: Float32Array): number => {
  const score = (shift: number) => {
    let sum = 0
    for (let n = 6000; n < 12_000; n++) sum += (pcm[n + shift] ?? 0) * tone(n)
    return sum
  }
  return [...Array(300).keys()].map(score).reduce((best, one, n, all) => (one > (all[best] ?? 0) ? n : best), 0)
}
/** Same sound at the same positions, to the sample: a shift by one would be −12 dB. */
const assertSame = (reference: Float32Array, pcm: Float32Array, from: number, until: number, limit = -25) => {
  const part = reference.subarray(from, until)
  assert.isBelow(difference(part, pcm.subarray(from, until)), limit)
  assert.isAbove(difference(part, pcm.subarray(from + 1, until + 1)), -15)
}
/** Bytes that look like nothing, the same every time. */
const noise = (seed: number) => {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
  return { next, bytes: (length: number) => Uint8Array.from({ length }, () => next() & 255) }
}
/** Several packets of one frame as one packet: code 1, 2 or 3 with a length for each (RFC 6716 §3.2). */
const merge = (packets: ReadonlyArray<Uint8Array>, code: 1 | 2 | 3): Uint8Array => {
  const bodies = packets.map((one) => one.subarray(1))
  const toc = (at(packets, 0)[0] ?? 0) & 0xfc
  const header = [toc | code, ...(code === 3 ? [0x80 | packets.length] : [])]
  const lengths = code === 1 ? [] : bodies.slice(0, -1).map((body) => body.length)
  return Uint8Array.from([...header, ...lengths, ...bodies.flatMap((body) => [...body])])
}
/** Neighbours of one configuration, `count` at a time. */
const merged = (packets: ReadonlyArray<Uint8Array>, count: number, code: 2 | 3) =>
  Array.from({ length: Math.floor(packets.length / count) }, (_, n) => packets.slice(n * count, (n + 1) * count)).map(
    (group) => (new Set(group.map((one) => (one[0] ?? 0) & 0xfc)).size === 1 ? merge(group, code) : undefined)
  )

const suite = (
  name: string,
  layer: typeof OpusDecoder.layerAddon | typeof OpusDecoder.layerNative | typeof OpusDecoder.layerWasm,
  /** How much later its sound comes than it is asked for. */
  lateMs = 0
) => {
  const decoding = (sentence: string, test: (decoder: Decoder["Service"]) => void) =>
    it.effect(sentence, () => Effect.provide(Decoder.useSync(test), layer))
  const heard = (decoder: Decoder["Service"], sender?: Sender) => hear(decoder, send(mono, sender))

  describe(`OpusDecoder with ${name}`, () => {
    decoding("gives every packet of 5 to 60 ms, mono or stereo, its exact time", (decoder) => {
      for (const [recording, ms] of [
        ["mono20", 20],
        ["mono10", 10],
        ["mono40", 40],
        ["mono60", 60],
        ["celt5", 5],
        ["stereo20", 20]
      ] as const) {
        const packets = payloads(recording)
        const { counters, pcm, pieces } = hear(decoder, send(packets, { ms }))
        assert.strictEqual(pieces.length, packets.length, recording)
        for (const [n, { position }] of pieces.entries()) assert.strictEqual(position, n * ms * 24)
        assert.strictEqual(pcm.length, packets.length * ms * 24)
        assert.strictEqual(counters.undecodable + counters.lost + counters.late, 0)
        // 6.5 ms look-ahead of libopus; the packets' length has no part in it.
        assert.approximately(lag(pcm), recording === "celt5" || recording === "stereo20" ? 156 : 156, 1, recording)
      }
    })

    decoding("decodes packets of code 1, 2 and 3 as the frames they are made of", (decoder) => {
      for (const [count, code] of [
        [2, 2],
        [6, 3],
        [12, 3]
      ] as const) {
        const tens = payloads("mono10").slice(60)
        const groups = merged(tens, count, code)
        assert.isTrue(groups.every((group) => group !== undefined))
        const alone = hear(decoder, send(tens.slice(0, groups.length * count), { ms: 10 })).pcm
        const together = hear(
          decoder,
          send(
            groups.filter((group) => group !== undefined),
            { ms: 10 * count }
          )
        )
        assert.strictEqual(together.pcm.length, alone.length)
        assert.isBelow(difference(alone, together.pcm), -80)
      }
      const two = payloads("mono10")
        .slice(60)
        .filter((one) => one.length === 41)
        .slice(0, 2)
      assert.strictEqual(hear(decoder, send([merge(two, 1)])).pcm.length, 480)
    })

    decoding("conceals up to five lost packets in exactly their time", (decoder) => {
      const reference = heard(decoder).pcm
      for (const lost of [1, 2, 5]) {
        const { counters, pcm, pieces } = hear(decoder, without(send(mono), 60, lost))
        assert.strictEqual(counters.lost, lost)
        assert.strictEqual(counters.concealedSamples, lost * 480)
        assert.strictEqual(pcm.length, reference.length)
        assert.strictEqual(
          pieces.reduce((sum, { length }) => sum + length, 0),
          reference.length
        )
        assertSame(reference, pcm, (60 + lost + 10) * 480, 140 * 480)
      }
      const sixty = send(payloads("mono60"), { ms: 60 })
      assert.strictEqual(hear(decoder, without(sixty, 10, 2)).counters.concealedSamples, 2 * 1440)
    })

    decoding("leaves longer losses out: the next position jumps by them", (decoder) => {
      const reference = heard(decoder).pcm
      for (const lost of [6, 14, 40]) {
        const { counters, pcm, pieces } = hear(decoder, without(send(mono), 60, lost))
        assert.strictEqual(counters.lost, lost)
        assert.strictEqual(counters.concealedSamples, 0)
        assert.strictEqual(at(pieces, 60).position, (60 + lost) * 480)
        assertSame(reference, pcm, (60 + lost + 10) * 480, 140 * 480)
      }
    })

    decoding("decodes in-order packets at once and reordered ones as if they had come in order", (decoder) => {
      const reference = heard(decoder)
      for (const [n, { atMs }] of reference.pieces.entries()) {
        assert.isAtLeast(atMs, (n + 1) * 20)
        assert.isAtMost(atMs, (n + 1) * 20 + lateMs)
      }
      const { counters, pcm, pieces } = hear(decoder, swapped(swapped(send(mono), 30, 31), 90, 92))
      assert.isBelow(difference(reference.pcm, pcm), -90)
      assert.isTrue(pieces.every((piece, n) => piece.atMs - at(reference.pieces, n).atMs <= 40 + lateMs + lateMs))
      assert.strictEqual(counters.lost + counters.late, 0)
      assert.isAtLeast(counters.reordered, 2)
    })

    decoding("waits no longer than 40 ms for a packet, and does not play it when it comes later", (decoder) => {
      const arrivals = send(mono)
      const late = { ...at(arrivals, 60), atMs: 61 * 20 + 70 }
      const all = [...without(arrivals, 60, 1), late].sort((one, other) => one.atMs - other.atMs)
      const { counters, pieces } = hear(decoder, all)
      assert.strictEqual(counters.late, 1)
      assert.strictEqual(counters.lost, 1)
      assert.strictEqual(at(pieces, 61).position, 61 * 480)
      assert.isAtMost(at(pieces, 61).atMs - 62 * 20, 40)
    })

    decoding("plays a packet once", (decoder) => {
      const { counters, pcm } = hear(
        decoder,
        send(mono).flatMap((one) => [one, one])
      )
      assert.strictEqual(counters.late, mono.length)
      assert.isBelow(difference(heard(decoder).pcm, pcm), -90)
    })

    decoding("does not notice the wrap-around of timestamps and sequence numbers", (decoder) => {
      const reference = heard(decoder)
      const { pcm, pieces } = heard(decoder, { timestamp: 2 ** 32 - 20_000, sequenceNumber: 65_500 })
      assert.isBelow(difference(reference.pcm, pcm), -90)
      assert.deepStrictEqual(pieces, reference.pieces)
      const overTheEdge = hear(decoder, without(send(mono, { sequenceNumber: 65_500 }), 34, 4))
      assert.strictEqual(overTheEdge.counters.lost, 4)
      assert.strictEqual(overTheEdge.counters.concealedSamples, 4 * 480)
    })

    decoding("jumps over what DTX does not send, without concealing it", (decoder) => {
      const all = send(payloads("dtx20"))
      const reference = hear(decoder, all).pcm
      // As senders do: the first empty packet is sent, the others are not, and sequence numbers go on.
      const sent = all.filter(
        ({ packet: { payload } }, n) => payload.length > 2 || at(all, n - 1).packet.payload.length > 2
      )
      const numbered = sent.map(({ atMs, packet }, n) => ({ atMs, packet: { ...packet, sequenceNumber: n } }))
      assert.isBelow(sent.length, 130)
      const { counters, pcm, pieces } = hear(decoder, numbered)
      assert.strictEqual(counters.concealedSamples + counters.lost, 0)
      for (const [n, { position }] of pieces.entries()) {
        assert.strictEqual(position, (at(sent, n).packet.timestamp - 5000) / 2)
      }
      assertSame(reference, pcm, 3.2 * 24_000, 3.9 * 24_000)
      const comfort = numbered.findIndex(({ packet }, n) => n > 55 && packet.payload.length <= 2)
      const lossy = hear(decoder, without(numbered, comfort + 1, 1))
      assert.strictEqual(lossy.counters.lost, 1)
      assert.strictEqual(lossy.counters.concealedSamples, 0)
      assert.strictEqual(lossy.pcm.length, pcm.length)
    })

    decoding("keeps the time of a pause of any length", (decoder) => {
      const day = 24 * 3600 * 1000
      for (const pauseMs of [500, 90_000, 13 * 3600 * 1000, 2 * day]) {
        const before = send(mono.slice(0, 50))
        const after = send(mono.slice(50, 60), {
          fromMs: 1000 + pauseMs + 7,
          timestamp: 5000 + 50 * 960 + pauseMs * 48,
          sequenceNumber: 1050
        })
        const { pieces } = hear(decoder, [...before, ...after])
        assert.strictEqual(at(pieces, 50).position, (1000 + pauseMs) * 24)
        assert.strictEqual(at(pieces, 59).position, (1000 + pauseMs + 180) * 24)
      }
    })

    decoding("goes on where the time of arrival puts it when the sender's time base changes", (decoder) => {
      const before = send(mono.slice(0, 50))
      const changes: ReadonlyArray<Sender> = [
        { ssrc: 2, timestamp: 77, sequenceNumber: 9 },
        { timestamp: 100, sequenceNumber: 1050 },
        { timestamp: 5000 + 50 * 960 + 3_000_000_000, sequenceNumber: 1050 },
        { timestamp: 5000 + 50 * 960 + 48 * 90_000, sequenceNumber: 1050 }
      ]
      for (const change of changes) {
        const { counters, pieces } = hear(decoder, [...before, ...send(mono.slice(50), { ...change, fromMs: 1100 })])
        assert.strictEqual(pieces.length, mono.length)
        assert.strictEqual(at(pieces, 50).position, 1100 * 24)
        assert.strictEqual(at(pieces, 99).position, (1100 + 49 * 20) * 24)
        assert.strictEqual(counters.lost, 0)
        // Stragglers and bursts: never before what was already said.
        hear(decoder, [...before, ...send(mono.slice(50), { ...change, fromMs: 900 }), ...before.slice(40)])
      }
    })

    decoding("follows a sender that starts its sequence anew", (decoder) => {
      const restarted = send(mono.slice(50), { fromMs: 1000, sequenceNumber: 20_000, timestamp: 5000 + 50 * 960 })
      const { pcm, pieces } = hear(decoder, [...send(mono.slice(0, 50)), ...restarted])
      assert.strictEqual(pieces.length, mono.length)
      assert.strictEqual(pcm.length, mono.length * 480)
    })

    decoding(
      "hears the same sound to the sample, whatever an SFU does to the order and number of packets",
      (decoder) => {
        const arrivals = send(mono)
        const reference = hear(decoder, arrivals).pcm
        const { next } = noise(11)
        const rough = arrivals.flatMap((one, n) => {
          // Twice, twice with another source's number in between, or behind its successor.
          const kind = next() % 5
          if (kind === 0) return [one, one]
          if (kind === 1 && n > 0) return [one, { ...at(arrivals, n - 1), atMs: one.atMs }, one]
          return [one]
        })
        for (let n = 0; n + 1 < rough.length; n += 7) {
          const [first, second] = [at(rough, n), at(rough, n + 1)]
          rough[n] = { ...second, atMs: first.atMs }
          rough[n + 1] = { ...first, atMs: second.atMs }
        }
        const { counters, pcm } = hear(decoder, rough)
        assert.deepStrictEqual([...pcm], [...reference])
        assert.strictEqual(counters.lost, 0)
      }
    )

    decoding("goes on without a gap and without a sound twice where one peer takes the place of another", (decoder) => {
      const arrivals = send(mono)
      const reference = hear(decoder, arrivals).pcm
      const elsewhere = (one: Arrival) => ({ ...one, packet: { ...one.packet, ssrc: 77 } })
      // The new peer begins with what the old one still brought.
      const changed = [
        ...arrivals.slice(0, 60),
        ...arrivals.slice(56, 60).map((one) => ({ ...elsewhere(one), atMs: 1205 })),
        ...arrivals.slice(60).map(elsewhere)
      ]
      const { counters, pcm } = hear(decoder, changed)
      assert.deepStrictEqual([...pcm], [...reference])
      assert.strictEqual(counters.late, 4)
    })

    decoding("does not let a timestamp that jumps far ahead of its arrival cut a sound in two", (decoder) => {
      const jumped = send(mono.slice(50), { fromMs: 1000, sequenceNumber: 1050, timestamp: 5000 + 30 * 48_000 })
      const { pcm } = hear(decoder, [...send(mono.slice(0, 50)), ...jumped])
      assert.strictEqual(pcm.length, mono.length * 480)
    })

    decoding("counts what is not Opus and survives it", (decoder) => {
      const { bytes, next } = noise(7)
      const good = send(mono)
      const arrivals = good.map((one, n) =>
        n % 3 === 1 ? { ...one, packet: { ...one.packet, payload: bytes(next() % 1400) } } : one
      )
      const { pcm, pieces } = hear(decoder, arrivals)
      assert.strictEqual(pcm.length, mono.length * 480)
      // Noise that happens to look like a long packet may hide what follows it, but moves nothing.
      const ends = new Set(pieces.map(({ length, position }) => position + length))
      const intact = good.filter((_, n) => n % 3 !== 1 && ends.has((n + 1) * 480))
      assert.isAbove(intact.length, 90)
      const malformed = [[], [3], [0xff], [0xff, 0], [0xff, 63], [2], [2, 252], [1, 1, 1, 1], [0xfb, 0x42, 255]]
      const { counters } = hear(decoder, send(malformed.map((one) => Uint8Array.from(one))))
      // An empty payload is padding, and [3] has no count of frames.
      assert.strictEqual(counters.undecodable, malformed.length - 1)
    })

    decoding("takes end-to-end encrypted packets for undecodable, not for noise", (decoder) => {
      const { bytes } = noise(11)
      const arrivals = send(
        mono.map((payload, n) => {
          const trailer = [0, 1, 2, 3, 0, 0, n >> 8, n & 255, 0, 0, 7, n, 12, 0]
          return Uint8Array.from([payload[0] ?? 0, ...bytes(payload.length - 1 + 16), ...trailer])
        })
      )
      const { counters, pieces } = hear(decoder, arrivals)
      assert.isAtMost(pieces.length, 1)
      assert.isAtLeast(counters.undecodable, mono.length - 1)
    })

    decoding("believes a level of digital silence only as long as it is silent", (decoder) => {
      const silent = hear(decoder, send(payloads("phrases20").slice(75, 110), { audioLevel: 127 }))
      assert.strictEqual(silent.pcm.length, 35 * 480)
      assert.isTrue(silent.pcm.subarray(2400).every((sample) => Math.abs(sample) < 0.001))
      const lying = heard(decoder, { audioLevel: 127 })
      assertSame(heard(decoder).pcm, lying.pcm, 0.2 * 24_000, 2.9 * 24_000)
    })

    decoding("never overlaps or throws, whatever a network does to the packets", (decoder) => {
      const { bytes, next } = noise(3)
      for (let round = 0; round < 20; round++) {
        const chance = (percent: number) => next() % 100 < percent
        const disturbed = send(mono).flatMap((one) => {
          if (chance(8)) return []
          const packet = {
            ...one.packet,
            ...(chance(2) ? { timestamp: next() * 251 } : {}),
            ...(chance(2) ? { sequenceNumber: next() & 0xffff } : {}),
            ...(chance(1) ? { ssrc: next() % 3 } : {}),
            ...(chance(3) ? { payload: bytes(next() % 200) } : {}),
            ...(chance(5) ? { audioLevel: next() & 127 } : {})
          }
          const moved = { packet, atMs: one.atMs + (chance(10) ? next() % 120 : 0) }
          return chance(5) ? [moved, moved] : [moved]
        })
        const { pieces } = hear(
          decoder,
          disturbed.sort((one, other) => one.atMs - other.atMs)
        )
        assert.isAbove(pieces.length, 80)
      }
    })
  })
}

suite("libopus-wasm (WebAssembly)", OpusDecoder.layerWasm)
if (hasNative) suite("@discordjs/opus (native)", OpusDecoder.layerNative)
if (hasAddon) {
  suite("our own addon", OpusDecoder.layerAddon)
  suite(
    "our own addon, beside JavaScript",
    OpusDecoder.layerAddonWith(() => true),
    20
  )
}

describe("OpusDecoder.layer", () => {
  it.effect("falls back to WebAssembly and says so once", () => {
    const lines: Array<unknown> = []
    const missing = new OpusCodec.CodecMissing({ library: "@discordjs/opus", detail: "not built here" })
    return Decoder.useSync((decoder) => {
      assert.strictEqual(decoder.library, "libopus-wasm")
      decoder.make(() => undefined).close()
      decoder.makeCodec().close()
      assert.strictEqual(lines.length, 1)
    }).pipe(
      Effect.provide(
        OpusDecoder.layerPreferring(Effect.fail(missing)).pipe(
          Layer.provideMerge(Logger.layer([Logger.make(({ message }) => lines.push(message))]))
        )
      )
    )
  })

  it.effect("prefers our own addon to another, and another to WebAssembly", () =>
    Decoder.useSync(({ library }) => {
      if (hasAddon) assert.match(library, /^libopus .* \(native\/build\)$/)
      else assert.strictEqual(library, hasNative ? "@discordjs/opus" : "libopus-wasm")
    }).pipe(Effect.provide(OpusDecoder.layer))
  )
})
