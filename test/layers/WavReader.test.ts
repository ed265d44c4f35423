import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

const { cut, detected, listen, wav } = ClientAudio
const sampleRate = 24_000
const pcm = ClientAudio.speech(sampleRate)
const pcm16 = ClientAudio.rawBytes(pcm, { encoding: "pcm16", channels: 1 })

const written = (bytes: number, write: (buffer: Buffer, sample: number, at: number) => void): Buffer => {
  const buffer = Buffer.alloc(pcm.length * bytes)
  pcm.forEach((sample, n) => {
    write(buffer, sample, n * bytes)
  })
  return buffer
}
const kinds = [
  {
    bits: 8,
    code: 1,
    samples: written(1, (buffer, sample, at) => buffer.writeUInt8(Math.round(sample * 127) + 128, at))
  },
  { bits: 16, code: 1, samples: pcm16 },
  {
    bits: 24,
    code: 1,
    samples: written(3, (buffer, sample, at) => buffer.writeIntLE(Math.round(sample * 8_388_607), at, 3))
  },
  {
    bits: 32,
    code: 1,
    samples: written(4, (buffer, sample, at) => buffer.writeInt32LE(Math.round(sample * 2_147_483_647), at))
  },
  { bits: 32, code: 3, samples: ClientAudio.rawBytes(pcm, { encoding: "float32", channels: 1 }) },
  { bits: 8, code: 6, samples: ClientAudio.rawBytes(pcm, { encoding: "pcma", channels: 1 }) },
  { bits: 8, code: 7, samples: ClientAudio.rawBytes(pcm, { encoding: "pcmu", channels: 1 }) }
]

const suite = it.layer(OpusDecoder.layer)

describe("WavReader", () => {
  suite((it) => {
    for (const { bits, code, samples } of kinds) {
      it.effect(`reads ${bits} bits of format ${code}, plain and extensible`, () =>
        Effect.gen(function* () {
          for (const extensible of [false, true]) {
            const bytes = wav(samples, { sampleRate, bits, code, extensible })
            for (const messages of [[bytes], cut(bytes, 1)]) {
              const { frames, heardMs, troubles } = yield* listen(yield* Decoder, detected, messages)
              assert.deepStrictEqual(troubles, [])
              assert.strictEqual(heardMs, pcm.length / 24)
              ClientAudio.assertWords(frames)
            }
          }
        })
      )
    }

    it.effect("does not end where a size is unknown, zero or too small", () =>
      Effect.gen(function* () {
        for (const size of [0, 0xffff_ffff, 0x7fff_ffff, 0xffff_ffdb, 4800]) {
          const { frames, heardMs, troubles } = yield* listen(
            yield* Decoder,
            detected,
            cut(wav(pcm16, { sampleRate, size }), 4000)
          )
          assert.deepStrictEqual(troubles, [])
          assert.strictEqual(heardMs, pcm.length / 24)
          ClientAudio.assertWords(frames)
        }
      })
    )

    it.effect("does not hear what follows the samples, and reads another file behind it", () =>
      Effect.gen(function* () {
        const tail = Buffer.from("LIST\u0004\u0000\u0000\u0000abcdid3 \u0003\u0000\u0000\u0000abc\u0000", "latin1")
        const odd = pcm16.subarray(0, pcm16.length - 1)
        const bytes = Buffer.concat([wav(odd, { sampleRate }), tail, wav(pcm16, { sampleRate: 48_000 })])
        for (const messages of [[bytes], cut(bytes, 1)]) {
          const { heardMs, troubles } = yield* listen(yield* Decoder, detected, messages)
          assert.deepStrictEqual(troubles, [])
          assert.approximately(heardMs, (pcm.length - 1) / 24 + pcm.length / 48, 0.05)
        }
      })
    )

    it.effect("refuses other formats, rates and numbers of channels with what is supported", () =>
      Effect.gen(function* () {
        const said = Effect.fnUntraced(function* (options: ClientAudio.WavOptions) {
          const { frames, troubles } = yield* listen(yield* Decoder, detected, cut(wav(pcm16, options), 100))
          assert.deepStrictEqual(frames, [])
          assert.deepStrictEqual(
            troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
            [{ goesOn: false, reason: "Unsupported" }]
          )
          return troubles[0]?.detail ?? ""
        })
        assert.match(
          yield* said({ sampleRate, code: 2, bits: 4 }),
          /format 2 and 4 bits .* PCM with 8, 16, 24 or 32 bits/
        )
        assert.match(yield* said({ sampleRate: 96_000 }), /96000 Hz .* 8000, 11025, 12000, 16000/)
      })
    )

    it.effect("tells a header that is damaged", () =>
      Effect.gen(function* () {
        const bytes = wav(pcm16, { sampleRate })
        bytes.write("nope", bytes.indexOf("fmt "), "latin1")
        const { troubles } = yield* listen(yield* Decoder, detected, [bytes])
        assert.deepStrictEqual(
          troubles.map(({ goesOn, reason }) => ({ goesOn, reason })),
          [{ goesOn: false, reason: "Undecodable" }]
        )
      })
    )
  })
})
