import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from "../../src/layers/SrtpKeys.ts"
import { hasNative, payloads } from "../support/OpusRecordings.ts"

const project = fileURLToPath(new URL("../..", import.meta.url))
const loaded = NativeAddon.load()
const recordings = ["mono20", "mono10", "mono60", "celt5", "stereo20", "phrases20", "dtx20"] as const

const made = <A>(one: A | undefined): A => {
  assert.isDefined(one)
  return one
}
/** Bytes that look like nothing, the same every time. */
const noise = (seed: number) => {
  let state = seed
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state >>> 8) % below
  }
  return { next, bytes: (length: number) => Uint8Array.from({ length }, () => next(256)) }
}

const suite = (addon: NativeAddon.NativeAddon) =>
  describe("the addon", () => {
    it.runIf(hasNative)("decodes as another native libopus does, to the rounding of its integers", () =>
      Effect.gen(function* () {
        const ours = yield* OpusCodec.addon
        const theirs = yield* OpusCodec.native
        for (const recording of recordings) {
          const [one, other] = [ours.make(), theirs.make()]
          for (const [n, packet] of payloads(recording).entries()) {
            // Every now and then a loss, as the decoder conceals it.
            const given = n % 17 === 11 ? packet.subarray(0, 1).map((toc) => toc & 0xfc) : packet
            const [pcm, integers] = [made(one.decode(given)), made(other.decode(given))]
            assert.strictEqual(pcm.length, integers.length)
            const worst = pcm.reduce((most, sample, at) => Math.max(most, Math.abs(sample - (integers[at] ?? 0))), 0)
            assert.isBelow(worst * 32_768, 0.6, `${recording}, packet ${n}`)
          }
          one.close()
          other.close()
        }
      }).pipe(Effect.scoped, Effect.runPromise)
    )

    it("makes up what was lost, out of the packet behind it or of nothing", () => {
      const packets = payloads("mono20")
      const decoder = made(addon.makeDecoder())
      const out = new Float32Array(480)
      for (const packet of packets.slice(0, 50)) assert.strictEqual(addon.decode(decoder, packet, out), 480)
      assert.strictEqual(addon.recover(decoder, made(packets[51]), out), 480)
      assert.strictEqual(addon.decode(decoder, made(packets[51]), out), 480)
      assert.strictEqual(addon.conceal(decoder, out), 480)
      assert.isTrue(out.some((sample) => Math.abs(sample) > 0.01))
      assert.isBelow(addon.conceal(decoder, new Float32Array(479)), 0)
      assert.isBelow(addon.conceal(decoder, new Float32Array(60_000)), 0)
      addon.closeDecoder(decoder)
    })

    it("writes nowhere but where it may, whatever 20,000 packets are made of", () => {
      const { bytes, next } = noise(5)
      const good = recordings.flatMap(payloads)
      const memory = new Float32Array(4000).fill(7)
      const decoder = made(addon.makeDecoder())
      for (let n = 0; n < 20_000; n++) {
        const packet = n % 3 === 0 ? bytes(next(1500)) : Uint8Array.from(good[next(good.length)] ?? [])
        for (let flips = next(4); flips > 0 && packet.length > 0; flips--) packet[next(packet.length)] = next(256)
        const cut = packet.subarray(0, n % 5 === 0 ? next(packet.length + 1) : packet.length)
        const room = [480, 2880, next(2881)][next(3)] ?? 0
        const out = memory.subarray(500, 500 + room)
        const samples = n % 11 === 0 ? addon.recover(decoder, cut, out) : addon.decode(decoder, cut, out)
        assert.isAtMost(samples, room)
        assert.isTrue(out.subarray(0, Math.max(0, samples)).every((sample) => Math.abs(sample) <= 1))
        assert.isTrue(memory[499] === 7 && memory[500 + room] === 7)
        memory.fill(7, 500, 500 + room)
      }
      assert.isTrue(memory.every((sample) => sample === 7))
      addon.closeDecoder(decoder)
    })

    it.runIf(addon.srtp)("opens no forged packet, whatever its bytes and their number are", () => {
      const { bytes, next } = noise(9)
      const memory = new Uint8Array(2000).fill(7)
      for (const [profile, saltBytes] of [
        [AEAD_AES_128_GCM, 12],
        [AES_CM_128_HMAC_SHA1_80, 14]
      ] as const) {
        const cipher = made(addon.makeCipher(profile, bytes(16), bytes(20), bytes(saltBytes)))
        for (let n = 0; n < 10_000; n++) {
          const packet = bytes(next(200))
          const room = next(200)
          assert.isBelow(addon.open(cipher, packet, next(300) - 20, next(2 ** 24), memory.subarray(500, 500 + room)), 0)
          assert.isTrue(memory[499] === 7 && memory[500 + room] === 7)
          memory.fill(7, 500, 500 + room)
        }
        assert.isUndefined(addon.makeCipher(profile, bytes(15), bytes(20), bytes(saltBytes)))
        assert.isUndefined(addon.makeCipher(profile, bytes(16), bytes(65), bytes(saltBytes)))
        assert.isUndefined(addon.makeCipher(profile, bytes(16), bytes(20), bytes(saltBytes + 1)))
      }
      assert.isUndefined(addon.makeCipher(8, bytes(16), bytes(20), bytes(12)))
    })

    it("refuses what is not what it asks for, and does not throw", () => {
      const decoder = made(addon.makeDecoder())
      const packet = made(payloads("mono20")[0])
      const out = new Float32Array(480)
      const things: ReadonlyArray<unknown> = [
        ...[undefined, null, 0, -1, "text", {}, () => 1, [], 2n ** 70n, Symbol("none")],
        ...[decoder, packet, out, new Float32Array(0), new Uint8Array(0), new DataView(new ArrayBuffer(9))],
        ...(addon.srtp
          ? [addon.makeCipher(AEAD_AES_128_GCM, new Uint8Array(16), new Uint8Array(20), new Uint8Array(12))]
          : [])
      ]
      const call = (
        name: "decode" | "conceal" | "recover" | "open" | "makeCipher" | "closeDecoder",
        args: ReadonlyArray<unknown>
      ) => Reflect.apply(addon[name], addon, args)
      for (const one of things) {
        if (one !== decoder) assert.isBelow(call("decode", [one, packet, out]), 0)
        if (one !== packet) assert.isBelow(call("decode", [decoder, one, out]), 0)
        if (one !== out) assert.isBelow(call("decode", [decoder, packet, one]), 0)
        if (one !== decoder) assert.isBelow(call("conceal", [one, out]), 0)
        if (one !== packet) assert.isBelow(call("recover", [decoder, one, out]), 0)
        assert.isBelow(call("open", [one, packet, 12, 0, new Uint8Array(200)]), 0)
        assert.isBelow(call("open", [decoder, one, one, one, one]), 0)
        assert.isUndefined(call("makeCipher", [one, one, one, one]))
        if (one !== decoder) assert.isUndefined(call("closeDecoder", [one]))
      }
      assert.isBelow(call("decode", []), 0)
      assert.strictEqual(addon.decode(decoder, packet, out), 480)
    })

    it("watches over no process that there cannot be, and takes no time that is none", () => {
      for (const pid of [0, -1, Number.NaN, 0.4]) assert.isBelow(addon.watchParent(pid), 0)
      for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) assert.isBelow(addon.endsWithin(ms), 0)
      assert.isBelow(Reflect.apply(addon.watchParent, undefined, ["1"]), 0)
      assert.isBelow(Reflect.apply(addon.endsWithin, undefined, [undefined]), 0)
    })

    it("gives back what was freed", () => {
      addon.trimMemory()
      assert.strictEqual(
        addon.decode(made(addon.makeDecoder()), made(payloads("mono20")[0]), new Float32Array(480)),
        480
      )
    })

    it("leaves a decoder that a thread has to the thread, also when it is closed", () => {
      const thread = made(addon.makeThread(() => undefined))
      const [decoder, closed] = [made(addon.makeDecoder()), made(addon.makeDecoder())]
      const packet = made(payloads("mono20")[0])
      const out = new Float32Array(960)
      const table = Float64Array.of(0, packet.length, 480, 0, 0, packet.length, 480, 0)
      assert.strictEqual(addon.takeDecoded(thread, out, table), 0)
      assert.strictEqual(addon.decodeBeside(thread, [decoder, closed], packet, table), 0)
      assert.isBelow(addon.decode(decoder, packet, out), 0)
      addon.closeDecoder(closed)
      assert.isBelow(addon.decodeBeside(thread, [decoder], packet, table), 0)
      assert.isBelow(addon.takeDecoded(thread, new Float32Array(959), table), 0)
      assert.isBelow(addon.takeDecoded(thread, out, new Float64Array(7)), 0)
      assert.strictEqual(addon.takeDecoded(thread, out, table), 2)
      assert.deepStrictEqual([table[3], table[7]], [480, 480])
      assert.deepStrictEqual(out.slice(0, 480), out.slice(480))
      assert.isBelow(addon.decodeBeside(thread, [closed], packet, table), 0)
      assert.strictEqual(addon.decode(decoder, packet, out), 480)
      // It ends with a batch that nobody takes.
      assert.strictEqual(addon.decodeBeside(thread, [decoder], packet, table), 0)
      addon.closeThread(thread)
      assert.strictEqual(addon.decode(decoder, packet, out), 480)
      assert.isBelow(addon.takeDecoded(thread, out, table), 0)
      assert.isBelow(addon.decodeBeside(thread, [decoder], packet, table), 0)
    })

    it("takes no batch that is not as agreed", () => {
      const thread = made(addon.makeThread(() => undefined))
      const decoder = made(addon.makeDecoder())
      const packet = made(payloads("mono20")[0])
      const rows: ReadonlyArray<ReadonlyArray<number>> = [
        ...[-1, packet.length, 1e300, Number.NaN, Number.POSITIVE_INFINITY].map((offset) => [
          offset,
          packet.length,
          480
        ]),
        ...[-1, 0, packet.length + 1, Number.NaN, Number.POSITIVE_INFINITY].map((length) => [0, length, 480]),
        ...[-1, 0, 2881, 1e300, Number.NaN].map((samples) => [0, packet.length, samples])
      ]
      for (const row of rows) {
        assert.isBelow(addon.decodeBeside(thread, [decoder], packet, Float64Array.of(...row, 0)), 0, String(row))
      }
      const table = Float64Array.of(0, packet.length, 480, 0)
      const things: ReadonlyArray<unknown> = [undefined, null, 7, "text", {}, [], [1], [thread], decoder, packet, table]
      const call = (name: "decodeBeside" | "takeDecoded", args: ReadonlyArray<unknown>) =>
        Reflect.apply(addon[name], addon, args)
      for (const one of things) {
        assert.isBelow(call("decodeBeside", [one, [decoder], packet, table]), 0)
        assert.isBelow(call("decodeBeside", [thread, one, packet, table]), 0)
        if (one !== packet) assert.isBelow(call("decodeBeside", [thread, [decoder], one, table]), 0)
        if (one !== table) assert.isBelow(call("decodeBeside", [thread, [decoder], packet, one]), 0)
        assert.isBelow(call("takeDecoded", [one, new Float32Array(480), table]), 0)
        assert.isUndefined(Reflect.apply(addon.closeThread, addon, [one === thread ? undefined : one]))
        assert.isUndefined(Reflect.apply(addon.makeThread, addon, [one]))
      }
      assert.isBelow(addon.decodeBeside(thread, [decoder, decoder], packet, table), 0)
      assert.strictEqual(addon.decodeBeside(thread, [decoder], packet, table), 0)
      addon.closeThread(thread)
    })

    it("decodes nothing more when it was closed, and its memory is free", () => {
      const packet = made(payloads("mono20")[0])
      const out = new Float32Array(480)
      const before = process.memoryUsage.rss()
      // 18 KB each: 360 MB if they stayed.
      for (let n = 0; n < 20_000; n++) {
        const decoder = made(addon.makeDecoder())
        addon.closeDecoder(decoder)
        addon.closeDecoder(decoder)
        if (n % 1000 === 0) assert.isBelow(addon.decode(decoder, packet, out), 0)
      }
      assert.isBelow(process.memoryUsage.rss() - before, 120e6)
    })
  })

if (typeof loaded !== "string") suite(loaded)

describe("without the addon", () => {
  it("is said why", () => {
    assert.match(String(NativeAddon.load("./nowhere.node")), /^Cannot find module/)
    assert.strictEqual(NativeAddon.load("node:path"), "is another addon than expected")
  })

  it("installs as well: one line says what is missing", () => {
    const folder = mkdtempSync(join(tmpdir(), "parlance-addon-"))
    try {
      for (const file of readdirSync(join(project, "native"), { withFileTypes: true })) {
        if (file.isFile()) copyFileSync(join(project, "native", file.name), join(folder, file.name))
      }
      symlinkSync(join(project, "node_modules"), join(folder, "node_modules"))
      const printed = execFileSync(process.execPath, [join(folder, "build.mjs")], {
        encoding: "utf8",
        env: { ...process.env, CC: "/nowhere/cc" }
      })
      assert.strictEqual(
        printed,
        "no native addon (there is no C compiler (/nowhere/cc)): packets are opened and decoded without it, which costs more\n"
      )
      assert.deepStrictEqual(
        readdirSync(folder).filter((name) => name === "build"),
        []
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
