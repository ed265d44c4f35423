import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rawAudio } from "../../src/domain/AudioFormat.ts"
import { AudioTrouble } from "../../src/domain/AudioTrouble.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

/** Always the same noise. */
const makeRandom = (seed: number) => {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return {
    below: (limit: number) => Math.floor(next() * limit),
    bytes: (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256)))
  }
}

const chromium: Buffer = Buffer.concat(
  JSON.parse(readFileSync(new URL("../fixtures/recordings.json", import.meta.url), "utf8")).mono.blobs.map(
    (blob: string) => Buffer.from(blob, "base64")
  )
)
const ROUNDS = 90

const suite = it.layer(OpusDecoder.layer)

describe("No recording breaks a voice", () => {
  suite((it) => {
    /** Whatever comes: no defect, typed troubles, time that does not run away, and words from the recording that follows. */
    const survives = Effect.fnUntraced(function* (messages: ReadonlyArray<Uint8Array>, raw = ClientAudio.detected) {
      const voice = yield* ClientAudio.open(yield* Decoder, raw, { queueFrames: 64, ringBytes: 100_000 })
      for (const [n, message] of messages.entries()) {
        const trouble = voice.hear(message, n)
        assert.isTrue(trouble === undefined || trouble instanceof AudioTrouble)
        if (n % 7 === 0) voice.endSpeech(n)
        voice.tick(n)
      }
      assert.isAtMost(voice.queued(), 64)
      assert.isAtMost(voice.counters.ringBytes, 100_000)
      assert.isTrue(Number.isFinite(voice.heardMs()))
      voice.setFormat(rawAudio("pcm16", 16_000))
      const before = voice.heardMs()
      const sound = ClientAudio.rawBytes(ClientAudio.speech(16_000), { encoding: "pcm16", channels: 1 })
      voice.hear(sound, 1e4)
      assert.approximately(voice.heardMs() - before, sound.length / 32, 70)
      voice.end(1e5)
      const frames = [...voice.voice.replay(before * 24)]
      for (const { pcm, position } of frames) {
        assert.isTrue(Number.isInteger(position))
        assert.isTrue(pcm.every((sample) => Math.abs(sample) <= 1))
      }
      assert.isAbove(frames.length, 20)
    })

    it.effect("of noise, behind every beginning there is", () =>
      Effect.gen(function* () {
        const random = makeRandom(1)
        const beginnings = [
          Buffer.alloc(0),
          ClientAudio.webmHeader(),
          Buffer.concat([ClientAudio.webmHeader(), Buffer.from("1f43b67501ffffffffffffff", "hex")]),
          ...ClientAudio.ogg([]),
          Buffer.concat(ClientAudio.ogg([]).slice(0, 2)),
          ClientAudio.wav(Buffer.alloc(0), { sampleRate: 44_100, size: 0 }),
          Buffer.from("OggS"),
          Buffer.from("RIFF....WAVE")
        ]
        for (let round = 0; round < ROUNDS; round++) {
          const beginning = beginnings[round % beginnings.length] ?? Buffer.alloc(0)
          const bytes = Buffer.concat([beginning, random.bytes(random.below(6000))])
          yield* survives(ClientAudio.cut(bytes, 1 + random.below(900)))
        }
      })
    )

    it.effect("of samples that are anything", () =>
      Effect.gen(function* () {
        const random = makeRandom(2)
        for (const encoding of ["pcm16", "float32", "pcmu", "pcma"] as const) {
          for (const channels of [1, 2] as const) {
            const noise = random.bytes(20_000)
            yield* survives(ClientAudio.cut(noise, 1 + random.below(900)), rawAudio(encoding, 44_100, channels))
          }
        }
      })
    )

    it.effect("of bits that flipped, of pieces that are missing, doubled or exchanged", () =>
      Effect.gen(function* () {
        const random = makeRandom(3)
        const packets = yield* ClientAudio.opus(ClientAudio.speech(48_000, [1]))
        const sources = [
          chromium,
          ClientAudio.webm(packets, { grouped: true, padded: true }),
          ClientAudio.webm(packets, { lacing: "xiph", laced: 3 }),
          ClientAudio.webm(packets, { lacing: "ebml", laced: 4, knownSizes: true }),
          Buffer.concat(ClientAudio.ogg(packets)),
          ClientAudio.wav(ClientAudio.rawBytes(ClientAudio.speech(12_000, []), { encoding: "float32", channels: 2 }), {
            sampleRate: 12_000,
            channels: 2,
            code: 3,
            bits: 32
          })
        ]
        for (let round = 0; round < ROUNDS; round++) {
          const bytes = Buffer.from(sources[round % sources.length] ?? chromium)
          // The header is what most depends on.
          const where = () => random.below(random.below(2) === 0 ? 300 : bytes.length)
          for (let flip = random.below(5); flip >= 0; flip--) {
            const at = where()
            bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
          }
          const messages = [...ClientAudio.cut(bytes, 1 + random.below(2000))]
          const [from, to] = [random.below(messages.length), random.below(messages.length)]
          if (round % 4 === 1) messages.splice(from, 1)
          if (round % 4 === 2) messages.splice(to, 0, ...messages.slice(from, from + 2))
          if (round % 4 === 3) messages.splice(to, 0, ...messages.splice(from, 1))
          yield* survives(messages)
        }
      })
    )

    it.effect("that breaks off after any byte of its header", () =>
      Effect.gen(function* () {
        const packets = yield* ClientAudio.opus(ClientAudio.speech(48_000, []).subarray(0, 9600))
        for (const bytes of [
          chromium,
          Buffer.concat(ClientAudio.ogg(packets)),
          ClientAudio.wav(Buffer.alloc(100), { sampleRate: 8000 })
        ]) {
          for (let length = 0; length < Math.min(bytes.length, 400); length += 3)
            yield* survives([bytes.subarray(0, length)])
        }
      })
    )

    it.effect("that is endless: what it holds stays small", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const endless = [
          // Tags that never end, an element that is passed over, a chunk that is, and blocks of another track.
          {
            begin: ClientAudio.ogg([])[0],
            more: ClientAudio.oggPage(
              [Buffer.alloc(65_025)],
              { granule: -1, flags: 1, sequence: 1 },
              new Array<number>(255).fill(255)
            )
          },
          { begin: ClientAudio.webmHeader(), more: ClientAudio.element("ec", Buffer.alloc(60_000)) },
          {
            begin: ClientAudio.webmHeader(),
            more: ClientAudio.element("ae", ClientAudio.element("63a2", Buffer.alloc(60_000)))
          },
          {
            begin: Buffer.from("RIFF....WAVE"),
            more: Buffer.concat([Buffer.from("LIST\u0060\u00ea\0\0", "latin1"), Buffer.alloc(60_000)])
          }
        ]
        for (const { begin = Buffer.alloc(0), more } of endless) {
          const voice = yield* ClientAudio.open(decoder, ClientAudio.detected)
          voice.hear(begin, 0)
          // 60 MB, in pieces that end anywhere.
          const before = process.memoryUsage().arrayBuffers
          for (let n = 0; n < 1000; n++) {
            for (const piece of ClientAudio.cut(more, 17_001)) assert.strictEqual(voice.hear(piece, n), undefined)
          }
          assert.isBelow(process.memoryUsage().arrayBuffers - before, 10e6)
          voice.end(0)
        }
      })
    )
  })
})
