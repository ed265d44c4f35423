/**
 * Recorded Opus as RTP, and what a decoder makes of it, for tests of hearing.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { assert } from "@effect/vitest"
import { Schema } from "effect"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import type { Decoder, DecoderCounters } from "../../src/services/Decoder.ts"
import type { RtpPacket } from "../../src/services/PeerConnection.ts"

const Packets = Schema.Array(Schema.String)
const recordings = Schema.decodeSync(
  Schema.fromJsonString(
    Schema.Struct({
      mono20: Packets,
      mono10: Packets,
      mono40: Packets,
      mono60: Packets,
      celt5: Packets,
      stereo20: Packets,
      phrases20: Packets,
      dtx20: Packets
    })
  )
)(readFileSync(new URL("../fixtures/opus.json", import.meta.url), "utf8"))

/** The payloads of a recording of test/fixtures/makeOpus.ts. */
export const payloads = (name: keyof typeof recordings): ReadonlyArray<Uint8Array> =>
  recordings[name].map((one) => new Uint8Array(Buffer.from(one, "base64")))

/** The sound of most recordings, at 24 kHz (test/fixtures/makeOpus.ts says what it is). */
export const tone = (n: number): number => {
  const t = n / 24_000
  const wave = (hz: number) => Math.sin(2 * Math.PI * hz * t)
  const sound = 0.3 * wave(310) + 0.25 * wave(743.7) + 0.2 * wave(1500 + 120 * t) + 0.15 * wave(2611.3)
  return 0.5 * (0.6 + 0.4 * wave(4)) * sound
}

/** Whether our own addon could be built here. */
export const hasAddon = typeof NativeAddon.load() !== "string"

/** Whether the optional native library is installed. */
export const hasNative = ((): boolean => {
  try {
    createRequire(import.meta.url)("@discordjs/opus")
    return true
  } catch {
    return false
  }
})()

export interface Arrival {
  readonly packet: RtpPacket
  readonly atMs: number
}

export interface Sender {
  readonly ms?: number
  readonly sequenceNumber?: number
  readonly timestamp?: number
  readonly ssrc?: number
  readonly audioLevel?: number
  readonly fromMs?: number
}

/** Sent in order, `ms` of sound each, arriving at the moment it ends. */
export const send = (packets: ReadonlyArray<Uint8Array>, sender: Sender = {}): ReadonlyArray<Arrival> => {
  const { audioLevel, fromMs = 0, ms = 20, sequenceNumber = 1000, ssrc = 1, timestamp = 5000 } = sender
  return packets.map((payload, n) => ({
    atMs: fromMs + (n + 1) * ms,
    packet: {
      sequenceNumber: (sequenceNumber + n) & 0xffff,
      timestamp: (timestamp + n * ms * 48) >>> 0,
      ssrc,
      payload,
      ...(audioLevel === undefined ? {} : { audioLevel })
    }
  }))
}

export interface Heard {
  readonly pieces: ReadonlyArray<{ readonly position: number; readonly length: number; readonly atMs: number }>
  /** By position; zero where nothing was heard. */
  readonly pcm: Float32Array
  readonly counters: DecoderCounters
}

/** What a decoder makes of these packets, ticking every 20 ms and a while longer. Fails when positions go back or overlap. */
export const hear = (decoder: Decoder["Service"], arrivals: ReadonlyArray<Arrival>): Heard => {
  const pieces: Array<{ readonly position: number; readonly length: number; readonly atMs: number }> = []
  const copies: Array<Float32Array> = []
  let end = 0
  let now = 0
  const packets = decoder.make((position, pcm) => {
    assert.isAtLeast(position, end, "positions overlap or go back")
    assert.isTrue(Number.isInteger(position))
    end = position + pcm.length
    pieces.push({ position, length: pcm.length, atMs: now })
    copies.push(pcm.slice())
  })
  for (const [n, { atMs, packet }] of arrivals.entries()) {
    for (; now + 20 < atMs && atMs - now < 10_000; now += 20) {
      packets.tick(now)
      packets.settle()
    }
    // What is decoded elsewhere comes back two packets at a time.
    if (n % 2 === 1) packets.settle()
    now = Math.max(now, atMs)
    // The payload is only lent: it is overwritten as soon as the call is over.
    const payload = Buffer.from(packet.payload)
    packets.decode({ ...packet, payload }, atMs)
    payload.fill(255)
  }
  for (let n = 1; n <= 5; n++) packets.tick(now + n * 20)
  packets.settle()
  const pcm = new Float32Array(Math.min(end, 1e7))
  pieces.forEach(({ position }, n) => {
    const copy = copies[n]
    if (copy !== undefined && position + copy.length <= pcm.length) pcm.set(copy, position)
  })
  const counters = { ...packets.counters }
  packets.close()
  return { pieces, pcm, counters }
}

/** dB of what differs between two sounds, against the first. */
export const difference = (one: Float32Array, other: Float32Array): number => {
  let signal = 0
  let noise = 0
  for (let n = 0; n < one.length; n++) {
    signal += (one[n] ?? 0) ** 2
    noise += ((one[n] ?? 0) - (other[n] ?? 0)) ** 2
  }
  return 10 * Math.log10((noise + 1e-12) / (signal + 1e-12))
}
