/**
 * Real sockets, read by hand: `read` is what otherwise happens every 10 or 20 ms.
 */
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as DgramHandle from "../../src/layers/DgramHandle.ts"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as RtpDatagram from "../../src/layers/RtpDatagram.ts"
import * as SocketReader from "../../src/layers/SocketReader.ts"
import type { Decoder } from "../../src/services/Decoder.ts"
import { difference, payloads } from "../support/OpusRecordings.ts"
import { make as makeVoice, type Sent, soundOf } from "../support/SealedVoice.ts"
import * as UdpPair from "../support/UdpPair.ts"

const addon = NativeAddon.load()
const pause = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** A reader whose time and turns are the test's. */
const makeReader = () => {
  let nowMs = 1000
  let due: (() => void) | undefined
  const asked: Array<number> = []
  const reader = SocketReader.make({
    now: () => nowMs,
    schedule: (read, ms) => {
      due = read
      asked.push(ms)
    }
  })
  return {
    ...reader,
    asked,
    isDue: () => due !== undefined,
    /** So much later, one turn. */
    read: (ms = 0) => {
      nowMs += ms
      const read = due
      due = undefined
      read?.()
    }
  }
}

interface Heard {
  readonly number: number
  readonly atMs: number
}

const ssrc = 7
const levelId = 1
const rtp = (number: number, { bytes = 3, level }: { readonly bytes?: number; readonly level?: number } = {}) => {
  const header = Buffer.from([level === undefined ? 0x80 : 0x90, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, ssrc])
  header.writeUInt16BE(number, 2)
  const extension = level === undefined ? [] : [0xbe, 0xde, 0, 1, levelId << 4, 0x80 | level, 0, 0]
  return Buffer.concat([header, Buffer.from(extension), Buffer.alloc(bytes)])
}
const rtcp = Buffer.from([0x80, 200, 0, 0])
const stun = Buffer.from([0, 1, 0, 0])

const silent = (over: Partial<SocketReader.Rest["mayWait"]> = {}): SocketReader.Rest => ({
  ssrc,
  payloadType: 111,
  levelId,
  tagBytes: 0,
  mayWait: {
    packets: 24,
    untilMs: 1500,
    fromLevel: 62,
    toLevel: 127,
    fromDigital: 81,
    levelledBytes: 3,
    tinyBytes: 2,
    sizedBytes: 3,
    sizedUntilMs: 1100,
    ...over
  }
})

/** One socket under a reader. */
const scene = Effect.fnUntraced(function* (type: "udp4" | "udp6" = "udp4") {
  const reader = makeReader()
  const pair = yield* UdpPair.make(type)
  const heard: Array<Heard> = []
  const messages: Array<{ readonly bytes: ReadonlyArray<number>; readonly address: string; readonly port: number }> = []
  pair.socket.on("message", (bytes, { address, port }) => messages.push({ bytes: [...bytes], address, port }))
  let rest: SocketReader.Rest | undefined
  let defects = 0
  let hear = (one: Heard): void => {
    heard.push(one)
  }
  const taken = reader.take(pair.socket, {
    onRtp: (packet, atMs) => hear({ number: ((packet[2] ?? 0) << 8) | (packet[3] ?? 0), atMs }),
    rest: () => rest,
    onDefect: () => defects++
  })
  const { read } = reader
  return {
    ...pair,
    reader,
    taken,
    heard,
    messages,
    numbers: () => heard.splice(0).map(({ number }) => number),
    defects: () => defects,
    allow: (next: SocketReader.Rest | undefined) => {
      rest = next
    },
    onHear: (next: (one: Heard) => void) => {
      hear = next
    },
    read
  }
})

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), 120_000)

describe("Node's sockets", () => {
  live(
    "have behind them what a reader needs: another Node has changed it where this fails, and packets cost three times as much",
    Effect.gen(function* () {
      const { socket } = yield* UdpPair.make()
      const handle = DgramHandle.of(socket)
      assert.isAbove(handle?.fd ?? -1, 2)
      assert.strictEqual(handle?.recvStop(), 0)
      socket.close()
      yield* Effect.promise(() => once(socket, "close"))
      assert.isUndefined(DgramHandle.of(socket))
      assert.isUndefined(DgramHandle.of(createSocket("udp4").unref()))
    })
  )

  live(
    "are read by Node where there is no addon, and where something is missing",
    Effect.gen(function* () {
      const listener = { onRtp: () => {}, rest: () => undefined, onDefect: () => {} }
      const { send, socket } = yield* UdpPair.make()
      const message = once(socket, "message")
      assert.isUndefined(SocketReader.make({ now: () => 0, addon: "none" }).take(socket, listener))
      assert.isUndefined(SocketReader.make({ now: () => 0 }).take(createSocket("udp4"), listener))
      send(rtp(1))
      assert.deepStrictEqual((yield* Effect.promise(() => message))[0], rtp(1))
    })
  )
})

describe.runIf(typeof addon !== "string")("SocketReader", () => {
  for (const [type, address] of [
    ["udp4", "127.0.0.1"],
    ["udp6", "::1"]
  ] as const) {
    live(
      `${type}: RTP comes with its time, all else by the socket's event with its source, in order`,
      Effect.gen(function* () {
        const { heard, messages, port, read, reader, send } = yield* scene(type)
        read(5)
        assert.deepStrictEqual([heard.length, messages.length], [0, 0])
        send(rtp(1))
        send(stun)
        send(rtp(2))
        send(rtcp)
        send(Buffer.alloc(0))
        yield* pause
        assert.deepStrictEqual([heard.length, messages.length], [0, 0])
        read(5)
        assert.deepStrictEqual(heard, [
          { number: 1, atMs: 1010 },
          { number: 2, atMs: 1010 }
        ])
        assert.deepStrictEqual(
          messages,
          [stun, rtcp, []].map((bytes) => ({ bytes: [...bytes], address, port }))
        )
        assert.isTrue(reader.asked.every((ms) => ms <= 20))
      })
    )
  }

  live(
    "a burst comes in order, over several readings without a rest; what is too long for one piece does not come",
    Effect.gen(function* () {
      const { numbers, read, reader, send } = yield* scene()
      for (let n = 0; n < 60; n++) {
        send(rtp(n))
        if (n % 20 === 0) send(rtp(999, { bytes: 5000 }))
      }
      yield* pause
      for (let n = 0; n < 3; n++) {
        read()
        assert.strictEqual(reader.asked.at(-1), 0)
      }
      read()
      assert.deepStrictEqual(
        numbers(),
        Array.from({ length: 60 }, (_, n) => n)
      )
      assert.isTrue(reader.isDue())
    })
  )

  live(
    "of many sockets each gets its own, also when one reading cannot hold all",
    Effect.gen(function* () {
      const reader = makeReader()
      const got: Array<Array<number>> = []
      const pairs = yield* Effect.forEach(Array.from({ length: 60 }), () => UdpPair.make())
      for (const [n, { socket }] of pairs.entries()) {
        const mine: Array<number> = []
        got[n] = mine
        reader.take(socket, {
          onRtp: (packet) => mine.push(((packet[2] ?? 0) << 8) | (packet[3] ?? 0)),
          rest: () => undefined,
          onDefect: () => {}
        })
      }
      for (let k = 0; k < 10; k++) for (const [n, { send }] of pairs.entries()) send(rtp(100 * k + n, { bytes: 1400 }))
      yield* pause
      reader.read()
      assert.strictEqual(reader.asked.at(-1), 0)
      for (let turn = 0; turn < 20; turn++) reader.read()
      assert.deepStrictEqual(
        got,
        pairs.map((_, n) => Array.from({ length: 10 }, (__, k) => 100 * k + n))
      )
    })
  )

  live(
    "is left by a socket that is closed, also while it is read, and another may have its number",
    Effect.gen(function* () {
      const { heard, onHear, read, reader, send, socket } = yield* scene()
      const fd = DgramHandle.of(socket)?.fd
      onHear((one) => {
        heard.push(one)
        if (one.number === 2) socket.close()
      })
      for (const number of [1, 2, 3]) send(rtp(number))
      yield* pause
      read()
      assert.deepStrictEqual(
        heard.map(({ number }) => number),
        [1, 2]
      )
      const next = yield* UdpPair.make()
      assert.strictEqual(DgramHandle.of(next.socket)?.fd, fd)
      const theirs: Array<number> = []
      const take = (to: UdpPair.UdpPair) =>
        reader.take(to.socket, {
          onRtp: (packet) => theirs.push(packet[3] ?? 0),
          rest: () => undefined,
          onDefect: () => {}
        })
      assert.isDefined(take(next))
      // Its own event comes late.
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      next.send(rtp(9))
      yield* pause
      read()
      assert.deepStrictEqual(theirs, [9])
      assert.strictEqual(heard.length, 2)
      next.socket.close()
      read()
      assert.isFalse(reader.isDue())
    })
  )

  live(
    "goes on behind whoever throws",
    Effect.gen(function* () {
      const { defects, heard, onHear, read, send, socket } = yield* scene()
      socket.on("message", () => {
        throw new Error("broken")
      })
      onHear((one) => {
        heard.push(one)
        if (one.number === 1) throw new Error("broken")
      })
      send(rtp(1))
      send(stun)
      send(rtp(2))
      yield* pause
      read()
      assert.deepStrictEqual([heard.length, defects()], [2, 2])
    })
  )

  live(
    "silence waits for company: it comes in order and with its times before what is none, and with anything else",
    Effect.gen(function* () {
      const { allow, heard, numbers, read, send } = yield* scene()
      const after = (ms: number, ...datagrams: ReadonlyArray<Buffer>) => {
        for (const one of datagrams) send(one)
        return Effect.andThen(
          pause,
          Effect.sync(() => read(ms))
        )
      }
      yield* after(0, rtp(0))
      allow(silent())
      yield* after(0, rtp(1, { level: 127 }))
      assert.deepStrictEqual(numbers(), [0, 1])
      yield* after(20, rtp(2, { level: 127 }))
      yield* after(20, rtp(3, { level: 62 }))
      assert.deepStrictEqual(numbers(), [])
      yield* after(20, rtp(4, { level: 61 }))
      assert.deepStrictEqual(heard, [
        { number: 2, atMs: 1020 },
        { number: 3, atMs: 1040 },
        { number: 4, atMs: 1060 }
      ])
      heard.length = 0
      for (const last of [rtcp, rtp(6, { level: 127, bytes: 4 }), rtp(6, { bytes: 4 })]) {
        yield* after(0, rtp(5, { level: 127 }))
        assert.deepStrictEqual(numbers(), [])
        yield* after(0, last)
        assert.deepStrictEqual(numbers(), last === rtcp ? [5] : [5, 6])
      }
      // Of another source, of another kind, and broken.
      const [other, video, broken] = [rtp(8), rtp(8), rtp(8)]
      other[11] = 8
      video[1] = 96
      broken[0] = 0x8f
      for (const last of [other, video, broken]) {
        yield* after(0, rtp(7, { level: 127 }), last)
        assert.deepStrictEqual(numbers(), [7, 8])
      }
      // Nothing is allowed any more.
      allow(undefined)
      yield* after(0, rtp(9, { level: 127 }), rtp(10, { bytes: 9 }))
      assert.deepStrictEqual(numbers(), [9, 10])
      yield* after(0, rtp(11, { level: 127 }))
      assert.deepStrictEqual(numbers(), [11])
    })
  )

  live(
    "silence waits no longer than it may, no more of it than may, and until it is asked for",
    Effect.gen(function* () {
      const { allow, heard, numbers, read, send, socket, taken } = yield* scene()
      const mayWait = rtp(1, { level: 127 })
      const sized = rtp(2, { bytes: 3 })
      const one = (datagram: Buffer, ms: number) => {
        send(datagram)
        return Effect.andThen(
          pause,
          Effect.sync(() => read(ms))
        )
      }
      allow(silent())
      yield* one(mayWait, 0)
      numbers()
      yield* one(mayWait, 20)
      read(479)
      assert.deepStrictEqual(numbers(), [])
      read(1)
      assert.deepStrictEqual(heard.splice(0), [{ number: 1, atMs: 1020 }])
      yield* one(mayWait, 0)
      assert.deepStrictEqual(numbers(), [1])
      allow(silent({ untilMs: 2000, sizedUntilMs: 1600, packets: 3 }))
      yield* one(mayWait, 0)
      numbers()
      yield* one(mayWait, 0)
      yield* one(sized, 0)
      read(99)
      assert.deepStrictEqual(numbers(), [])
      read(1)
      assert.deepStrictEqual(numbers(), [1, 2])
      yield* one(sized, 0)
      assert.deepStrictEqual(numbers(), [2])
      for (let n = 0; n < 3; n++) yield* one(mayWait, 0)
      assert.deepStrictEqual(numbers(), [])
      yield* one(mayWait, 0)
      assert.deepStrictEqual(numbers(), [1, 1, 1, 1])
      yield* one(mayWait, 0)
      taken?.wake()
      taken?.wake()
      assert.deepStrictEqual(numbers(), [1])
      yield* one(mayWait, 0)
      socket.close()
      taken?.wake()
      read(1000)
      assert.deepStrictEqual(numbers(), [])
    })
  )

  live(
    "reads a level as we do, of whatever bytes",
    Effect.gen(function* () {
      const { allow, numbers, read, send, taken } = yield* scene()
      let state = 1
      const next = (below: number) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        return (state >>> 8) % below
      }
      allow(silent({ fromLevel: 2, untilMs: 9999, levelledBytes: 5000, tinyBytes: -1, sizedBytes: -1, packets: 1 }))
      send(rtp(0))
      yield* pause
      read()
      const header = RtpDatagram.emptyHeader()
      let waited = 0
      for (let n = 0; n < 4000; n++) {
        const packet = Buffer.concat([
          rtp(1).subarray(0, 12),
          Buffer.from(Array.from({ length: next(40) }, () => next(256)))
        ])
        packet[0] = 0x90 | (next(8) === 0 ? next(3) : 0)
        const at = 12 + 4 * (packet[0] & 15)
        if (packet.length >= at + 4) {
          packet.writeUInt16BE(next(2) === 0 ? 0xbede : 0x1000 | next(16), at)
          packet.writeUInt16BE(next(4), at + 2)
          for (let k = at + 4; k < packet.length; k++) {
            if (next(3) > 0) packet[k] = [0, levelId, levelId << 4, 0x21, 0xf0, 2][next(6)] ?? 0
          }
        }
        const level = RtpDatagram.read(packet, header) ? RtpDatagram.audioLevel(packet, levelId) : undefined
        send(packet)
        if (n % 100 === 0) yield* pause
        numbers()
        read()
        const isHeld = numbers().length === 0
        assert.strictEqual(isHeld, level !== undefined && level >= 2, packet.toString("hex"))
        if (isHeld) waited++
        taken?.wake()
      }
      assert.isAbove(waited, 100)
    })
  )

  it.effect(
    "a voice hears the same frames of a sender whose silence waits as of one that is heard at once",
    () =>
      Effect.gen(function* () {
        const { all, heard, opened, readings } = yield* bothWays
        const places = (frames: typeof all) =>
          frames.map(({ endsSpeech, heardAtMs, position }) => ({ endsSpeech, position, at: Math.round(heardAtMs) }))
        assert.isAbove(all.length, 100)
        assert.deepStrictEqual(places(heard), places(all))
        assert.isBelow(difference(soundOf(all), soundOf(heard)), -80)
        assert.deepStrictEqual(opened[0], opened[1])
        assert.isBelow(readings, 0.6)
      }).pipe(Effect.scoped, Effect.provide(OpusDecoder.layer)),
    120_000
  )
})

/** Speech between silence, given at once and by a socket. */
const bothWays: Effect.Effect<
  {
    readonly all: Effect.Success<Effect.Success<ReturnType<typeof makeVoice>>["finish"]>
    readonly heard: Effect.Success<Effect.Success<ReturnType<typeof makeVoice>>["finish"]>
    readonly opened: ReadonlyArray<unknown>
    /** At how many of the packets something was told. */
    readonly readings: number
  },
  never,
  Decoder | Scope.Scope
> = Effect.gen(function* () {
  const { send, socket } = yield* UdpPair.make()
  let read: (() => void) | undefined
  let toldAt = 0
  const direct = yield* makeVoice()
  const waiting = yield* makeVoice({
    way: (receiver, now) => {
      SocketReader.make({
        now,
        schedule: (next) => {
          read = next
        }
      }).take(socket, { onRtp: receiver.receive, rest: receiver.rest, onDefect: () => assert.fail("a defect") })
      return send
    }
  })
  const phrases = payloads("phrases20").map((payload): Sent => ({ payload, level: 20 }))
  const muted = (count: number, level?: number): ReadonlyArray<Sent> =>
    new Array(count).fill({ payload: Uint8Array.of(0xf8, 0xff, 0xfe), ...(level === undefined ? {} : { level }) })
  const sent = [...muted(200, 127), ...phrases, ...muted(500, 127), ...phrases, ...muted(300), ...phrases]
  for (const packet of sent) {
    direct.wait()
    direct.give(packet)
    waiting.wait()
    waiting.give(packet)
    const before = waiting.voice.counters.packets
    read?.()
    if (waiting.voice.counters.packets !== before) toldAt++
  }
  const counts = [direct, waiting].map(({ counts, voice }) => ({ ...counts, lost: voice.counters.lost }))
  const [all, heard] = [yield* direct.finish, yield* waiting.finish]
  return { all, heard, opened: counts, readings: toldAt / sent.length }
})
