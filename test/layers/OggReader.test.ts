import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  ALL_FORMATS,
  BufferSource,
  BufferTarget,
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedPacketSink,
  Input,
  OggOutputFormat,
  Output
} from "mediabunny"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

const { cut, detected, listen, ogg } = ClientAudio
const speech = ClientAudio.opus(ClientAudio.speech(48_000))
const reasonsOf = (troubles: ReadonlyArray<{ readonly goesOn: boolean; readonly reason: string }>) =>
  troubles.map(({ goesOn, reason }) => ({ goesOn, reason }))

/** The packets as a library that knows nothing of ours writes them. */
const oggByMediabunny = (packets: ReadonlyArray<Uint8Array>) =>
  Effect.promise(async () => {
    const target = new BufferTarget()
    const output = new Output({ format: new OggOutputFormat(), target })
    const source = new EncodedAudioPacketSource("opus")
    output.addAudioTrack(source)
    await output.start()
    const description = ClientAudio.opusHead()
    const decoderConfig = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1, description }
    for (const [n, packet] of packets.entries()) {
      await source.add(new EncodedPacket(packet, "key", n * 0.02, 0.02), { decoderConfig })
    }
    await output.finalize()
    return new Uint8Array(target.buffer ?? new ArrayBuffer(0))
  })
const packetsByMediabunny = (bytes: Uint8Array) =>
  Effect.promise(async () => {
    const input = new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS })
    const track = await input.getPrimaryAudioTrack()
    const packets: Array<Uint8Array> = []
    if (track !== null) for await (const { data } of new EncodedPacketSink(track).packets()) packets.push(data)
    return packets
  })

const suite = it.layer(OpusDecoder.layer)

describe("OggReader", () => {
  suite((it) => {
    it.effect("reads what another library writes, and that one what our tests write", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const theirs = yield* oggByMediabunny(packets)
        const read = yield* packetsByMediabunny(Buffer.concat(ogg(packets)))
        assert.deepStrictEqual(
          read.map((packet) => Buffer.from(packet)),
          packets.map((packet) => Buffer.from(packet))
        )
        for (const messages of [[theirs], cut(theirs, 1), cut(theirs, 101)]) {
          const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, messages)
          assert.deepStrictEqual(troubles, [])
          ClientAudio.assertWords(frames)
          assert.strictEqual(heardMs, packets.length * 20 - 6.5)
        }
      })
    )

    it.effect("reads packets that go over the ends of pages, and pages without any end", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const [head, tags] = ogg([])
        // All packets one after the other, in pages of three laces.
        const laces = packets.flatMap(({ length }) => [
          ...new Array<number>(Math.floor(length / 255)).fill(255),
          length % 255
        ])
        const bytes = Buffer.concat(packets)
        const pages: Array<Buffer> = [head ?? Buffer.alloc(0), tags ?? Buffer.alloc(0)]
        let at = 0
        let ended = 0
        for (let n = 0; n < laces.length; n += 3) {
          const own = laces.slice(n, n + 3)
          const length = own.reduce((sum, lace) => sum + lace, 0)
          const ends = own.filter((lace) => lace < 255).length
          ended += ends
          pages.push(
            ClientAudio.oggPage(
              [bytes.subarray(at, at + length)],
              { granule: ends === 0 ? -1 : ended * 960, flags: laces[n - 1] === 255 ? 1 : 0, sequence: pages.length },
              own
            )
          )
          at += length
        }
        const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, pages)
        assert.deepStrictEqual(troubles, [])
        assert.strictEqual(heardMs, packets.length * 20 - 6.5)
        ClientAudio.assertWords(frames)
      })
    )

    it.effect("ends where the recording says it ends", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const endTick = packets.length * 960 - 500
        for (const perPage of [1, 7, 200]) {
          const { heardMs } = yield* listen(yield* Decoder, detected, ogg(packets, { endTick, perPage }))
          assert.strictEqual(heardMs, (endTick - ClientAudio.PRE_SKIP) / 48)
        }
      })
    )

    it.effect("fills in the silence of packets that were left out", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        // 700 ms before the third page.
        const endOf = (n: number) => 960 * (n + 1) + (n >= 20 ? 33_600 : 0)
        const { frames, heardMs } = yield* listen(yield* Decoder, detected, ogg(packets, { endOf }))
        ClientAudio.assertWords(frames, ClientAudio.WORDS, 700)
        // That the last page ends later is not believed: it may only end earlier.
        assert.strictEqual(heardMs, packets.length * 20 - 6.5 + 700)
      })
    )

    it.effect("reads a live stream that began long ago, without its past", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const { frames, heardMs } = yield* listen(
          yield* Decoder,
          detected,
          ogg(packets, { endOf: (n) => 960 * (n + 1) + 48e6 })
        )
        ClientAudio.assertWords(frames)
        assert.strictEqual(heardMs, packets.length * 20 - 6.5)
      })
    )

    it.effect("reads chained recordings, and one beside streams that are not for it", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const first = yield* ClientAudio.opus(ClientAudio.speech(48_000, [5, 6], 0))
        const second = yield* ClientAudio.opus(ClientAudio.speech(48_000, [7, 8], 2))
        const [head, ...pages] = ogg(second, { serial: 78 })
        const other = ClientAudio.oggPage([Buffer.from("\u0001vorbis....", "latin1")], {
          granule: 0,
          flags: 2,
          serial: 9,
          sequence: 0
        })
        const noise = ClientAudio.oggPage([Buffer.alloc(60)], { granule: 5e6, serial: 9, sequence: 1 })
        const messages = [...ogg(first), other, head ?? Buffer.alloc(0), ...pages.flatMap((page) => [noise, page])]
        for (const cuts of [messages, cut(Buffer.concat(messages), 1)]) {
          const { frames, heardMs, troubles } = yield* listen(decoder, detected, cuts)
          assert.deepStrictEqual(troubles, [])
          assert.deepStrictEqual(
            ClientAudio.wordsIn(frames).map(({ word }) => word),
            [5, 6, 7, 8]
          )
          assert.strictEqual(heardMs, (first.length + second.length) * 20 - 13)
        }
      })
    )

    it.effect("leaves out a page whose checksum is wrong and keeps its time", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const pages = ogg(packets)
        // Silence before the words.
        pages[3]?.writeUInt8((pages[3][60] ?? 0) ^ 4, 60)
        for (const messages of [pages, cut(Buffer.concat(pages), 77)]) {
          const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, messages)
          assert.deepStrictEqual(reasonsOf(troubles), [{ goesOn: true, reason: "Undecodable" }])
          ClientAudio.assertWords(frames)
          assert.strictEqual(heardMs, packets.length * 20 - 6.5)
        }
      })
    )

    it.effect("passes over tags of any size", () =>
      Effect.gen(function* () {
        const packets = yield* speech
        const [head, , ...pages] = ogg(packets)
        const picture = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(255 * 255 * 6)])
        const tags = cut(picture, 255 * 255).map((piece, n, all) => {
          const laces = new Array<number>(Math.floor(piece.length / 255)).fill(255)
          const isEnd = n === all.length - 1
          return ClientAudio.oggPage(
            [piece],
            { granule: isEnd ? 0 : -1, flags: n === 0 ? 0 : 1, sequence: n + 1 },
            isEnd ? [...laces, piece.length % 255] : laces
          )
        })
        const { frames, troubles } = yield* listen(yield* Decoder, detected, [
          head ?? Buffer.alloc(0),
          ...tags,
          ...pages
        ])
        assert.deepStrictEqual(troubles, [])
        ClientAudio.assertWords(frames)
      })
    )

    it.effect("asks for a new recorder when it begins in the middle, and refuses what is not Opus by its name", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* speech
        const { frames, troubles } = yield* listen(decoder, detected, [...ogg(packets).slice(4), ...ogg(packets)])
        assert.deepStrictEqual(reasonsOf(troubles), [{ goesOn: false, reason: "Headerless" }])
        ClientAudio.assertWords(frames)
        const vorbis = ClientAudio.oggPage([Buffer.from("\u0001vorbis....", "latin1")], {
          granule: 0,
          flags: 2,
          sequence: 0
        })
        const data = ClientAudio.oggPage([Buffer.alloc(9)], { granule: 0, sequence: 1 })
        const other = yield* listen(decoder, detected, [vorbis, data, data])
        assert.deepStrictEqual(reasonsOf(other.troubles), [{ goesOn: false, reason: "Unsupported" }])
        assert.match(other.troubles[0]?.detail ?? "", /Vorbis/)
        const surround = yield* listen(decoder, detected, ogg(packets, { channels: 6 }))
        assert.deepStrictEqual(reasonsOf(surround.troubles), [{ goesOn: false, reason: "Unsupported" }])
      })
    )

    it.effect("turns a packet that is not Opus into silence", () =>
      Effect.gen(function* () {
        const packets = [...(yield* speech)]
        packets[12] = Uint8Array.of(0xff, 0xff, 0xff, 0xff)
        const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, ogg(packets))
        assert.deepStrictEqual(reasonsOf(troubles), [{ goesOn: true, reason: "Undecodable" }])
        ClientAudio.assertWords(frames)
        assert.strictEqual(heardMs, packets.length * 20 - 6.5)
      })
    )
  })
})
