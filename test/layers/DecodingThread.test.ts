import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DecodingThread from "../../src/layers/DecodingThread.ts"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { hasAddon, payloads, send } from "../support/OpusRecordings.ts"
import { until } from "../support/Until.ts"

const loaded = NativeAddon.load()
const SAMPLES = 480
const packets = payloads("mono20")

interface Given {
  readonly bytes: number
  readonly pcm: Float32Array | undefined
}

/** One voice: what it is given, and a twin that decodes at once. */
const makeVoice = (addon: NativeAddon.NativeAddon) => {
  const decoder = addon.makeDecoder()
  const twin = addon.makeDecoder()
  if (decoder === undefined || twin === undefined) throw new Error("there is no decoder")
  const given: Array<Given> = []
  const expected: Array<Float32Array> = []
  return {
    decoder,
    given,
    expected,
    taker: { decoded: (packet, pcm) => void given.push({ bytes: packet.length, pcm: pcm?.slice() }) },
    hear: (thread: DecodingThread.DecodingThread, packet: Uint8Array, taker: DecodingThread.Taker) => {
      const own = Uint8Array.from(packet)
      thread.decode(decoder, own, SAMPLES, taker)
      own.fill(255)
      const pcm = new Float32Array(SAMPLES)
      addon.decode(twin, packet, pcm)
      expected.push(pcm)
    }
  } satisfies { readonly taker: DecodingThread.Taker; readonly [other: string]: unknown }
}

const assertHeard = ({ expected, given }: Pick<ReturnType<typeof makeVoice>, "expected" | "given">) =>
  assert.deepStrictEqual(
    given.map(({ pcm }) => pcm),
    expected
  )

const suite = (addon: NativeAddon.NativeAddon) =>
  describe("a thread that decodes", () => {
    const scoped = Effect.acquireRelease(
      Effect.sync(() => {
        const thread = DecodingThread.make({ addon, isNeeded: () => true })
        assert.isTrue(thread.isWanted(0))
        return thread
      }),
      (thread) => Effect.sync(thread.close)
    )

    it.live("gives each voice its sound, in order and to the bit, in a later turn of the event loop", () =>
      Effect.gen(function* () {
        const thread = yield* scoped
        const voices = Array.from({ length: 30 }, () => makeVoice(addon))
        for (const [n, packet] of packets.slice(0, 60).entries()) {
          for (const voice of voices) voice.hear(thread, packet, voice.taker)
          assert.isAtMost(voices[0]?.given.length ?? 0, n)
          if (n % 3 === 2) yield* until(() => voices.every(({ given }) => given.length > n))
        }
        for (const voice of voices) assertHeard(voice)
      }).pipe(Effect.scoped)
    )

    it.live("gives all there is when it is to settle, also while it gives", () =>
      Effect.gen(function* () {
        const thread = yield* scoped
        const [one, other] = [makeVoice(addon), makeVoice(addon)]
        const settles: DecodingThread.Taker = {
          decoded: (packet, pcm) => {
            one.taker.decoded(packet, pcm)
            thread.settle()
          }
        }
        for (const packet of packets.slice(0, 20)) {
          one.hear(thread, packet, settles)
          other.hear(thread, packet, other.taker)
        }
        thread.settle()
        assert.deepStrictEqual([one.given.length, other.given.length], [20, 20])
        assertHeard(one)
        assertHeard(other)
        thread.settle()
        yield* Effect.sleep("20 millis")
        assert.deepStrictEqual([one.given.length, other.given.length], [20, 20])
      }).pipe(Effect.scoped)
    )

    it.live("takes what comes in one turn, however much: it waits for the thread rather than lose any", () =>
      Effect.gen(function* () {
        const thread = yield* scoped
        const voice = makeVoice(addon)
        for (let n = 0; n < 3000; n++) voice.hear(thread, packets[n % packets.length] ?? new Uint8Array(1), voice.taker)
        assert.isAbove(voice.given.length, 1000)
        thread.settle()
        assertHeard(voice)
      }).pipe(Effect.scoped)
    )

    it.live("says which packets are no Opus, and goes on behind them", () =>
      Effect.gen(function* () {
        const thread = yield* scoped
        const voice = makeVoice(addon)
        const broken = Uint8Array.of(0xff, 0xff, 0xff)
        for (const packet of [packets[0], broken, packets[1]])
          thread.decode(voice.decoder, packet ?? broken, SAMPLES, voice.taker)
        thread.settle()
        assert.deepStrictEqual(
          voice.given.map(({ pcm }) => pcm?.length),
          [SAMPLES, undefined, SAMPLES]
        )
      }).pipe(Effect.scoped)
    )

    it("is needed while JavaScript's thread is full, and until it has room again", () => {
      let busy = 0.7
      let looks = 0
      const isNeeded = DecodingThread.whenFull(() => {
        looks++
        return busy
      })
      assert.isFalse(isNeeded(0))
      busy = 0.9
      assert.isFalse(isNeeded(999))
      assert.isTrue(isNeeded(1000))
      busy = 0.6
      assert.isTrue(isNeeded(2000))
      busy = 0.4
      assert.isTrue(isNeeded(2999))
      assert.isFalse(isNeeded(3000))
      assert.strictEqual(looks, 4)
      const thread = DecodingThread.make({ addon, isNeeded: () => true })
      assert.isTrue(thread.isWanted(0))
      thread.close()
      assert.isFalse(thread.isWanted(0))
    })

    it("is needed for as long as the thread would be full without it", () => {
      for (const left of [2 / 3, 3 / 4]) {
        for (const work of [0.8, 0.85, 0.9, 1]) {
          let isNeeded = false
          const look = DecodingThread.whenFull(() => (isNeeded ? left * work : work))
          for (let atMs = 0; atMs < 10_000; atMs += 1000) {
            isNeeded = look(atMs)
            assert.isTrue(isNeeded, `${work} ${left}`)
          }
        }
      }
    })

    it("ends with its process, and with JavaScript's thread, whatever it is at", () => {
      const program = fileURLToPath(new URL("../support/decodeAndEnd.ts", import.meta.url))
      for (const how of ["exit", "return", "worker"]) {
        assert.strictEqual(execFileSync(process.execPath, [program, how], { encoding: "utf8" }), "ended\n")
      }
    })

    it.effect("is one with decoding at once, whatever a network does and whenever sound comes back", () =>
      Effect.gen(function* () {
        const atOnce = yield* Effect.provide(
          Decoder,
          OpusDecoder.layerAddonWith(() => false)
        )
        const beside = yield* Decoder
        let state = 11
        const next = (below: number) => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
          return (state >>> 8) % below
        }
        for (let round = 0; round < 20; round++) {
          const arrivals = send(packets)
            .filter(() => next(100) >= 8)
            .map(({ atMs, packet }) => ({
              atMs: atMs + (next(10) === 0 ? next(90) : 0),
              packet: { ...packet, ...(next(3) === 0 ? { audioLevel: next(127) } : {}) }
            }))
            .sort((one, other) => one.atMs - other.atMs)
          const [one, other] = [listen(atOnce), listen(beside)]
          for (const { atMs, packet } of arrivals) {
            for (const each of [one, other]) {
              each.decoder.tick(atMs)
              each.decoder.decode(packet, atMs)
            }
            if (next(4) === 0) other.decoder.settle()
          }
          for (const { decoder } of [one, other]) {
            decoder.tick(1e6)
            decoder.close()
          }
          assert.isAbove(one.heard.length, 80)
          assert.deepStrictEqual(other.heard, one.heard)
          assert.deepStrictEqual(other.decoder.counters, one.decoder.counters)
        }
      }).pipe(Effect.provide(OpusDecoder.layerAddonWith(() => true)))
    )

    it.effect("does not believe a wrong level for longer than decoding at once does", () =>
      Effect.gen(function* () {
        const atOnce = yield* Effect.provide(Decoder, OpusDecoder.layerAddon)
        const beside = yield* Decoder
        const heard = [listen(atOnce), listen(beside)].map(({ decoder, heard }) => {
          for (const { atMs, packet } of send(packets.slice(0, 60), { audioLevel: 127 })) decoder.decode(packet, atMs)
          decoder.close()
          return heard
        })
        assert.deepStrictEqual(heard[1], heard[0])
      }).pipe(Effect.provide(OpusDecoder.layerAddonWith(() => true)))
    )

    it.effect("tells whoever hands over the next packet of a bug in what takes the sound", () =>
      Effect.gen(function* () {
        const { make } = yield* Decoder
        const decoder = make(() => {
          throw new Error("a bug")
        })
        const [first, second, third] = send(packets)
        if (first === undefined || second === undefined || third === undefined)
          throw new Error("there is nothing to send")
        decoder.decode(first.packet, first.atMs)
        decoder.settle()
        assert.throws(() => decoder.decode(second.packet, second.atMs), "a bug")
        decoder.decode(third.packet, third.atMs)
        decoder.close()
      }).pipe(Effect.provide(OpusDecoder.layerAddonWith(() => true)))
    )
  })

/** A decoder, and all it gives. */
const listen = (service: Decoder["Service"]) => {
  const heard: Array<unknown> = []
  const decoder = service.make((position, pcm, { atMs, audioLevel, packet }) => {
    heard.push({ position, pcm: pcm.slice(), atMs, audioLevel, packet: Uint8Array.from(packet) })
  })
  return { decoder, heard }
}

if (hasAddon && typeof loaded !== "string") suite(loaded)
