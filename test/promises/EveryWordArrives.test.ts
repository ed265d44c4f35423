import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type RawAudio, rawAudio } from "../../src/domain/AudioFormat.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { sampleRates } from "../../src/services/Resampler.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import { difference, tone } from "../support/OpusRecordings.ts"

/** At 8 kHz the highest tones of a word (4.2 kHz) do not exist: the sound of `tone`, below 2.9 kHz, is compared there instead. */
const rates = sampleRates.filter((rate) => rate > 8000)
const encodings: ReadonlyArray<RawAudio["encoding"]> = ["pcm16", "float32", "pcmu", "pcma"]
const channelCounts = [1, 2] as const
/** One byte, odd, 20 ms, 500 ms, 1 s. */
const sizesOf = (bytesPerSecond: number) =>
  [1, 333, bytesPerSecond / 50, bytesPerSecond / 2, bytesPerSecond].map(Math.round)
const formats = encodings.flatMap((encoding) => channelCounts.map((channels) => ({ encoding, channels })))

const bytesOf = (encoding: RawAudio["encoding"]) => ({ pcm16: 2, float32: 4, pcmu: 1, pcma: 1 })[encoding]

/** Words from each cut of the same bytes are complete; and what is heard is the same, sample for sample. */
const assertCuts = Effect.fnUntraced(function* (
  decoder: Decoder["Service"],
  bytes: Uint8Array,
  sizes: ReadonlyArray<number>,
  format = ClientAudio.detected
) {
  const whole = yield* ClientAudio.listen(decoder, format, [bytes])
  assert.deepStrictEqual(whole.troubles, [])
  ClientAudio.assertWords(whole.frames)
  for (const size of sizes) {
    const heard = yield* ClientAudio.listen(decoder, format, ClientAudio.cut(bytes, size))
    assert.deepStrictEqual(heard.troubles, [])
    assert.strictEqual(heard.heardMs, whole.heardMs)
    assert.deepStrictEqual(heard.borders, whole.borders)
    assert.deepStrictEqual(
      heard.frames.map(({ endsSpeech, position }) => ({ endsSpeech, position })),
      whole.frames.map(({ endsSpeech, position }) => ({ endsSpeech, position }))
    )
    for (const [n, { pcm }] of heard.frames.entries())
      assert.isTrue(pcm.every((one, at) => one === whole.frames[n]?.pcm[at]))
  }
  return whole
})

const suite = it.layer(OpusDecoder.layer)

describe("Every word a client says arrives complete, in order, once and at its time", () => {
  suite((it) => {
    for (const { channels, encoding } of formats) {
      it.effect(`as ${encoding} with ${channels} channels, at every rate and however it is cut`, () =>
        Effect.gen(function* () {
          const decoder = yield* Decoder
          for (const rate of rates) {
            const bytes = ClientAudio.rawBytes(ClientAudio.speech(rate), { encoding, channels })
            // One byte at a time is the same code at every rate.
            const sizes = sizesOf(rate * channels * bytesOf(encoding)).filter((size) => size > 1 || rate === 16_000)
            const { heardMs } = yield* assertCuts(decoder, bytes, sizes, rawAudio(encoding, rate, channels))
            const millis = (bytes.length * 1000) / (rate * channels * bytesOf(encoding))
            assert.approximately(heardMs, millis, 0.05)
          }
        })
      )
    }

    it.effect("as WAV, at every rate, with a size or without", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        for (const sampleRate of rates) {
          for (const channels of channelCounts) {
            const samples = ClientAudio.rawBytes(ClientAudio.speech(sampleRate), { encoding: "pcm16", channels })
            const size = channels === 1 ? samples.length : 0xffff_ffff
            const bytes = ClientAudio.wav(samples, { sampleRate, channels, size })
            yield* assertCuts(decoder, bytes, sampleRate === 16_000 ? [1, 333] : [997])
          }
        }
      })
    )

    for (const channels of channelCounts) {
      it.effect(`as WebM and Ogg with Opus, ${channels} channels, encoded at every rate of Opus`, () =>
        Effect.gen(function* () {
          const decoder = yield* Decoder
          for (const sampleRate of [12_000, 16_000, 24_000, 48_000] as const) {
            const packets = yield* ClientAudio.opus(ClientAudio.speech(sampleRate), { channels, sampleRate })
            const sizes = sampleRate === 48_000 ? [1, 333, 5000, 1e6] : [4001]
            yield* assertCuts(decoder, ClientAudio.webm(packets, { channels }), sizes)
            yield* assertCuts(decoder, Buffer.concat(ClientAudio.ogg(packets, { channels })), sizes)
          }
        })
      )
    }

    it.effect("at 8 kHz, as far as such audio goes", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const pcm = Float32Array.from({ length: 16_000 }, (_, n) => tone(3 * n))
        const expected = Float32Array.from({ length: 48_000 }, (_, n) => tone(n))
        for (const { channels, encoding } of formats) {
          const bytes = ClientAudio.rawBytes(pcm, { encoding, channels })
          const { frames } = yield* ClientAudio.listen(
            decoder,
            rawAudio(encoding, 8000, channels),
            ClientAudio.cut(bytes, 999)
          )
          const heard = ClientAudio.soundOf(frames)
          // G.711 keeps 38 dB.
          const limit = encoding.startsWith("pcm1") || encoding === "float32" ? -60 : -33
          assert.isBelow(difference(expected.subarray(200, 47_800), heard.subarray(200, 47_800)), limit, encoding)
        }
        const packets = yield* ClientAudio.opus(pcm, { sampleRate: 8000 })
        const { frames } = yield* ClientAudio.listen(decoder, ClientAudio.detected, [ClientAudio.webm(packets)])
        assert.isBelow(
          difference(expected.subarray(4800, 43_200), ClientAudio.soundOf(frames).subarray(4800, 43_200)),
          -10
        )
      })
    )
  })
})
