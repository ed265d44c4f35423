/**
 * What a lost engine had been sent is sent again from the memory of the voice: also of somebody who speaks too loudly for their microphone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { rawAudio } from "../../src/domain/AudioFormat.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

/** Clipped at full scale; another rate makes it overshoot by a tenth. */
const clipped = Float32Array.from({ length: 16_000 }, (_, n) =>
  Math.sign(Math.sin((2 * Math.PI * 310 * (n + 0.5)) / 16_000))
)

const suite = it.layer(OpusDecoder.layer)

describe("Sound beyond full scale", () => {
  suite((it) => {
    it.effect("is replayed at full scale, without clicks", () =>
      Effect.gen(function* () {
        const format = rawAudio("pcm16", 16_000)
        const voice = yield* ClientAudio.open(yield* Decoder, format)
        voice.hear(ClientAudio.rawBytes(clipped, { encoding: "pcm16", channels: 1 }), 0)
        voice.end(1000)
        const live = ClientAudio.soundOf(yield* Stream.runCollect(voice.voice.frames))
        const again = ClientAudio.soundOf([...voice.voice.replay(0)])
        assert.isAbove(
          live.findIndex((sample) => sample < -1),
          0
        )
        assert.strictEqual(again.length, live.length)
        for (const [n, sample] of live.entries()) {
          assert.approximately(again[n] ?? 0, Math.max(-1, Math.min(1, sample)), 1 / 32_768, `sample ${n}`)
        }
      })
    )
  })
})
