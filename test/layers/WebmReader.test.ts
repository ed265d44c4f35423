import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ALL_FORMATS, BufferSource, EncodedPacketSink, Input } from "mediabunny"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as WebmReader from "../../src/layers/WebmReader.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

const { cut, detected, listen } = ClientAudio
const Recording = Schema.Struct({
  words: Schema.Array(Schema.Int),
  speaker: Schema.Int,
  blobs: Schema.Array(Schema.String)
})
const chromium = Schema.decodeSync(
  Schema.fromJsonString(
    Schema.Struct({ mono: Recording, stereo: Recording, paused: Recording, whole: Recording, mp4: Recording })
  )
)(readFileSync(new URL("../fixtures/recordings.json", import.meta.url), "utf8"))
const blobsOf = (name: keyof typeof chromium) => chromium[name].blobs.map((blob) => Buffer.from(blob, "base64"))

/** The packets a reader hands to the decoder. */
const packetsIn = (messages: ReadonlyArray<Uint8Array>, isOver = true): ReadonlyArray<string> => {
  const packets: Array<string> = []
  const codec = {
    decode: (packet: Uint8Array) => {
      packets.push(Buffer.from(packet).toString("hex"))
      return new Float32Array(480)
    },
    close: () => undefined
  }
  const listener = { onSound: () => undefined, onSilence: () => undefined, onTrouble: () => undefined }
  const reader = WebmReader.make(() => codec, listener)
  messages.forEach(reader.read)
  if (isOver) reader.close()
  return packets
}
/** The same by a library that knows nothing of ours. */
const packetsByMediabunny = (bytes: Uint8Array) =>
  Effect.promise(async () => {
    const input = new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS })
    const track = await input.getPrimaryAudioTrack()
    const packets: Array<string> = []
    if (track !== null) {
      for await (const { data } of new EncodedPacketSink(track).packets())
        packets.push(Buffer.from(data).toString("hex"))
    }
    return packets
  })

const suite = it.layer(OpusDecoder.layer)
const speech = ClientAudio.opus(ClientAudio.speech(48_000))

describe("WebmReader", () => {
  suite((it) => {
    for (const name of ["mono", "stereo", "paused", "whole"] as const) {
      it.effect(`reads what Chromium recorded (${name}), blob by blob and however it is cut`, () =>
        Effect.gen(function* () {
          const blobs = blobsOf(name)
          const bytes = Buffer.concat(blobs)
          const expected = yield* packetsByMediabunny(bytes)
          assert.isAbove(expected.length, 30)
          for (const messages of [blobs, cut(bytes, 1), cut(bytes, 7), cut(bytes, 1000), [bytes]]) {
            assert.deepStrictEqual(packetsIn(messages), expected)
            const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, messages)
            assert.deepStrictEqual(troubles, [])
            assert.deepStrictEqual(
              ClientAudio.wordsIn(frames).map(({ word }) => word),
              chromium[name].words
            )
            // Blocks of 60 ms; their times jitter, and nothing was left out.
            assert.strictEqual(heardMs, 60 * expected.length)
          }
        })
      )
    }

    it.effect("hands on a packet as soon as its last byte is there", () =>
      Effect.gen(function* () {
        const packets = (yield* speech).slice(0, 3)
        const bytes = ClientAudio.webm(packets)
        const last = bytes.length
        const second = last - ClientAudio.element("a3", ClientAudio.block(packets.slice(2), 0)).length
        assert.deepStrictEqual(
          [second - 1, second, last - 1, last].map((length) => packetsIn([bytes.subarray(0, length)]).length),
          [1, 2, 2, 3]
        )
      })
    )

    it.effect("hands on a block of a group as soon as nothing more about it can come", () =>
      Effect.gen(function* () {
        const packets = (yield* speech).slice(0, 2)
        const bytes = ClientAudio.webm(packets, { grouped: true })
        assert.strictEqual(packetsIn([bytes.subarray(0, -13)], false).length, 1)
        assert.strictEqual(packetsIn([bytes], false).length, 2)
      })
    )

    it.effect("reads every kind of block, laced in every way, with known sizes or without, and what lies between", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        const same = packets.map((packet) => Buffer.concat([packet, Buffer.alloc(0)]))
        const plain = yield* listen(decoder, detected, [ClientAudio.webm(packets)])
        ClientAudio.assertWords(plain.frames)
        for (const lacing of ["none", "xiph", "ebml"] as const) {
          for (const grouped of [false, true]) {
            for (const knownSizes of [false, true]) {
              const padded = grouped !== knownSizes
              const laced = lacing === "none" ? 1 : 5
              const bytes = ClientAudio.webm(same, { lacing, laced, grouped, knownSizes, padded })
              for (const messages of [[bytes], cut(bytes, 311)]) {
                assert.deepStrictEqual(packetsIn(messages), packetsIn([ClientAudio.webm(packets)]))
                const { frames, troubles } = yield* listen(decoder, detected, messages)
                assert.deepStrictEqual(troubles, [])
                assert.deepStrictEqual(
                  frames.map(({ position }) => position),
                  plain.frames.map(({ position }) => position)
                )
              }
            }
          }
        }
      })
    )

    it.effect("reads lacing of equal sizes", () =>
      Effect.gen(function* () {
        const silent = Array.from({ length: 12 }, () => Uint8Array.of(0xf8, 0xff, 0xfe))
        const bytes = ClientAudio.webm(silent, { lacing: "fixed", laced: 4 })
        assert.strictEqual(packetsIn([bytes]).length, 12)
        const { heardMs } = yield* listen(yield* Decoder, detected, [bytes])
        assert.strictEqual(heardMs, 12 * 20 - 6.5)
      })
    )

    it.effect("keeps the sound exactly where the recording has it", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        const { frames } = yield* listen(decoder, detected, [ClientAudio.webm(packets)])
        const { frames: raw } = yield* listen(
          decoder,
          { _tag: "Raw", encoding: "float32", sampleRate: 24_000, channels: 1 },
          [ClientAudio.rawBytes(ClientAudio.speech(24_000), { encoding: "float32", channels: 1 })]
        )
        const [one, other] = [ClientAudio.soundOf(raw), ClientAudio.soundOf(frames)]
        const likeness = (shift: number) => {
          let sum = 0
          for (let n = 20_000; n < 40_000; n++) sum += (one[n] ?? 0) * (other[n + shift] ?? 0)
          return sum
        }
        const shifts = Array.from({ length: 61 }, (_, n) => n - 30)
        const best = shifts.reduce((found, shift) => (likeness(shift) > likeness(found) ? shift : found))
        assert.strictEqual(best, 0)
      })
    )

    it.effect("fills in the silence of packets that were left out, and takes jitter for none", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        // Chromium's sawtooth, and 1.4 s without packets from the tenth on, before anything is said.
        const jitter = [0, 5, 7, 13, 15]
        const at = (n: number) => 20 * n + (jitter[n % 5] ?? 0) / 3 + (n >= 10 ? 1400 : 0)
        const bytes = ClientAudio.webm(packets, { at: (n) => Math.round(at(n)) })
        const { frames, heardMs, troubles } = yield* listen(decoder, detected, cut(bytes, 500))
        assert.deepStrictEqual(troubles, [])
        ClientAudio.assertWords(frames, ClientAudio.WORDS, 1400, 11)
        assert.approximately(heardMs, packets.length * 20 - 6.5 + 1400, 5)
        // A single packet of 20 ms.
        const one = ClientAudio.webm(packets.toSpliced(60, 1), { at: (n) => 20 * n + (n >= 60 ? 20 : 0) })
        assert.strictEqual((yield* listen(decoder, detected, [one])).heardMs, packets.length * 20 - 6.5)
      })
    )

    it.effect("takes half a packet of jitter for none where packets are long", () =>
      Effect.gen(function* () {
        const packets = packetsIn(blobsOf("mono")).map((packet) => Buffer.from(packet, "hex"))
        const at = (n: number) => 60 * n + (n % 3 === 0 ? 0 : 32)
        const bytes = ClientAudio.webm(packets, { at, preSkip: 0 })
        assert.strictEqual((yield* listen(yield* Decoder, detected, [bytes])).heardMs, 60 * packets.length)
        // One that was left out is missing, also when the next one is early.
        const gap = ClientAudio.webm(packets, { at: (n) => 60 * n + (n < 20 ? 0 : 45), preSkip: 0 })
        assert.strictEqual((yield* listen(yield* Decoder, detected, [gap])).heardMs, 60 * packets.length + 45)
      })
    )

    it.effect("invents no silence when a clock drifts slowly, goes back or jumps by hours", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        const expected = packets.length * 20 - 6.5
        for (const at of [
          (n: number) => Math.round(20.02 * n * 1.04),
          (n: number) => 20 * n + (n < 50 ? 10_000 : 0),
          (n: number) => 20 * n + (n < 50 ? 0 : 5e8)
        ]) {
          const { frames, heardMs } = yield* listen(decoder, detected, [ClientAudio.webm(packets, { at })])
          assert.strictEqual(heardMs, expected)
          ClientAudio.assertWords(frames)
        }
      })
    )

    it.effect("leaves out the padding at the end", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const discard = Buffer.alloc(4)
        discard.writeInt32BE(13_500_000)
        const group = ClientAudio.element(
          "a0",
          Buffer.concat([
            ClientAudio.element("a1", ClientAudio.block(packets.slice(-1), 0, "none", 0)),
            ClientAudio.element("75a2", discard)
          ])
        )
        const bytes = Buffer.concat([ClientAudio.webm(packets.slice(0, -1)), group])
        for (const messages of [[bytes], cut(bytes, 1)]) {
          const { heardMs } = yield* listen(yield* Decoder, detected, messages)
          assert.strictEqual(heardMs, packets.length * 20 - 6.5 - 13.5)
        }
      })
    )

    it.effect("reads a recording that begins anew on the same connection, also when the one before broke off", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const [first, second] = [blobsOf("whole"), blobsOf("mono")]
        const words = [...chromium.whole.words, ...chromium.mono.words]
        const both = Buffer.concat([...first, ...second])
        for (const messages of [[...first, ...second], cut(both, 1), cut(both, 313)]) {
          const { frames, troubles } = yield* listen(decoder, detected, messages)
          assert.deepStrictEqual(troubles, [])
          assert.deepStrictEqual(
            ClientAudio.wordsIn(frames).map(({ word }) => word),
            words
          )
        }
        const broken = Buffer.concat(first).subarray(0, -700)
        const { frames } = yield* listen(decoder, detected, [broken, ...second])
        assert.deepStrictEqual(
          ClientAudio.wordsIn(frames).map(({ word }) => word),
          words
        )
      })
    )

    it.effect("asks for a new recorder when a recording begins in its middle, and hears it then", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        // Every blob but the first: Chromium cuts wherever its buffer ends.
        for (let from = 1; from < blobsOf("mono").length - 1; from++) {
          const { frames, troubles } = yield* listen(decoder, detected, [
            ...blobsOf("mono").slice(from),
            ...blobsOf("whole")
          ])
          assert.deepStrictEqual(
            troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
            [{ goesOn: false, reason: "Headerless" }],
            `from blob ${from}`
          )
          assert.match(troubles[0]?.detail ?? "", /start it again/)
          assert.deepStrictEqual(
            ClientAudio.wordsIn(frames).map(({ word }) => word),
            chromium.whole.words
          )
        }
      })
    )

    it.effect("refuses what is not Opus by its name, and more than two channels", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        const said = Effect.fnUntraced(function* (options: ClientAudio.WebmOptions) {
          const { frames, troubles } = yield* listen(decoder, detected, cut(ClientAudio.webm(packets, options), 500))
          assert.deepStrictEqual(frames, [])
          assert.deepStrictEqual(
            troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
            [{ goesOn: false, reason: "Unsupported" }]
          )
          return troubles[0]?.detail ?? ""
        })
        assert.match(yield* said({ codec: "A_VORBIS" }), /A_VORBIS/)
        assert.match(yield* said({ codec: "A_PCM/FLOAT/IEEE" }), /A_PCM/)
        assert.match(yield* said({ channels: 6 }), /6 channels/)
      })
    )

    it.effect("refuses an element of a gigabyte, keeps nothing of it, and hears the next recording", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        for (const id of ["ec", "a3", "63a2", "1a45dfa3"]) {
          const gigabyte = Buffer.from(`${id}0100000040000000`, "hex")
          const bytes = [
            ClientAudio.webmHeader(),
            gigabyte,
            Buffer.alloc(100_000, 0xa3),
            Buffer.alloc(100_000),
            ClientAudio.webm(packets)
          ]
          const { frames, troubles } = yield* listen(decoder, detected, bytes)
          assert.deepStrictEqual(
            troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
            [{ goesOn: false, reason: "TooLarge" }]
          )
          ClientAudio.assertWords(frames)
        }
      })
    )

    it.effect("goes on with the next cluster after damage", () =>
      Effect.gen(function* () {
        const bytes = Buffer.concat(blobsOf("mono"))
        // Zeros in the words of the second half.
        bytes.fill(0, 6000, 6200)
        const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, cut(bytes, 400))
        assert.isTrue(troubles.every(({ goesOn }) => goesOn))
        assert.isAtLeast(troubles.length, 1)
        assert.isAbove(heardMs, 3500)
        assert.isAbove(frames.length, 20)
      })
    )
  })
})
