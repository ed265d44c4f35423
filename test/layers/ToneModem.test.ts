import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import * as SpeechEncoder from "../../src/layers/SpeechEncoder.ts"
import * as ToneFormat from "../../src/layers/ToneFormat.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { vocabularySize, wordIndex, wordText } from "../../src/layers/ToneWords.ts"

/** Deterministic words, spread over the vocabulary. */
const words = (count: number, seed = 1) =>
  Array.from({ length: count }, (_, i) => (seed * 977 + i * 613) % vocabularySize)

const hear = (pcm: Float32Array, options: { sampleRate: number; format?: ToneModem.ToneFormat; chunk?: number }) => {
  const events: Array<ToneModem.ToneEvent> = []
  const decoder = ToneModem.toneDecoder(options.sampleRate, (event) => events.push(event), options.format)
  const chunk = options.chunk ?? 480
  for (let offset = 0; offset < pcm.length; offset += chunk) decoder.push(pcm.subarray(offset, offset + chunk))
  decoder.flush()
  return events
}

const wordsOf = (events: ReadonlyArray<ToneModem.ToneEvent>) =>
  events.flatMap((event) => (event._tag === "Word" ? [event] : []))

const concat = (parts: ReadonlyArray<Float32Array>) => {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

describe("ToneWords", () => {
  it("are 2,048 different words without punctuation, found again by their text", () => {
    const all = Array.from({ length: vocabularySize }, (_, i) => wordText(i))
    assert.strictEqual(new Set(all).size, vocabularySize)
    assert.isTrue(all.every((word) => /^[a-z]{4,9}$/.test(word)))
    assert.isTrue(all.every((word, i) => wordIndex(word) === i))
    assert.strictEqual(wordIndex(`${wordText(99).toUpperCase()},`), 99)
    assert.isUndefined(wordIndex("hello"))
  })
})

describe.each([ToneModem.normal, ToneModem.fast])("ToneModem $name", (format) => {
  it.each([16_000, 24_000, 48_000])("is understood at %i Hz in chunks of any size", (sampleRate) => {
    const said = words(20)
    const { pcm, words: spoken } = ToneModem.speak(said, { speaker: 300, sampleRate, firstSequence: 14, format })
    const events = hear(pcm, { sampleRate, format, chunk: 617 })
    assert.deepStrictEqual(
      events.map((event) => event._tag),
      said.map(() => "Word")
    )
    for (const [i, heard] of wordsOf(events).entries()) {
      assert.strictEqual(heard.word, said[i])
      assert.strictEqual(heard.speaker, 300)
      assert.strictEqual(heard.sequence, (14 + i) % 16)
      assert.closeTo(heard.startMs, spoken[i]?.startMs ?? 0, 3)
      assert.closeTo(heard.endMs, spoken[i]?.endMs ?? 0, 3)
    }
  })

  it("says nothing about silence, noise and music", () => {
    const noise = Float32Array.from({ length: 240_000 }, (_, i) => 0.3 * Math.sin(i * i * 1e-5) + 0.2 * Math.sin(i / 7))
    assert.deepStrictEqual(wordsOf(hear(noise, { sampleRate: 24_000, format })), [])
    assert.deepStrictEqual(hear(new Float32Array(48_000), { sampleRate: 24_000, format }), [])
  })

  it("tells a word as soon as it is over", () => {
    const { pcm, words: spoken } = ToneModem.speak(words(3), { speaker: 1, sampleRate: 24_000, format })
    const told: Array<number> = []
    let pushedMs = 0
    const decoder = ToneModem.toneDecoder(24_000, () => told.push(pushedMs), format)
    for (let offset = 0; offset < pcm.length; offset += 240) {
      pushedMs += 10
      decoder.push(pcm.subarray(offset, offset + 240))
    }
    assert.strictEqual(told.length, 3)
    for (const [i, atMs] of told.entries()) assert.isAtMost(atMs - (spoken[i]?.endMs ?? 0), 20)
  })

  it.each([0, 20, 60, 100, 160, 250])("is understood when an utterance follows another after %i ms", (gapMs) => {
    const say = (said: ReadonlyArray<number>, firstSequence: number) =>
      ToneModem.speak(said, { speaker: 7, sampleRate: 24_000, firstSequence, format }).pcm
    const events = hear(concat([say([1, 2, 3], 0), new Float32Array(gapMs * 24), say([4, 5, 6], 3)]), {
      sampleRate: 24_000,
      format
    })
    assert.deepStrictEqual(
      events.map((event) => (event._tag === "Word" ? event.word : event._tag)),
      [1, 2, 3, 4, 5, 6]
    )
  })

  it("reports words that are missing, repeated or destroyed", () => {
    const say = (index: number, firstSequence: number) =>
      ToneModem.speak([index], { speaker: 7, sampleRate: 24_000, firstSequence, format }).pcm
    const pause = new Float32Array(6_000)
    const other = ToneModem.speak([900], { speaker: 400, sampleRate: 24_000, firstSequence: 4, format }).pcm
    const destroyed = say(5, 4).map((sample, i) => (i < other.length / 2 ? sample : (other[i] ?? 0)))
    const events = hear(concat([say(1, 0), pause, say(2, 3), pause, destroyed, pause, say(3, 3), pause]), {
      sampleRate: 24_000,
      format
    })
    assert.deepStrictEqual(
      events.map((event) => (event._tag === "Gap" ? `Gap ${event.missing}` : event._tag)),
      ["Word", "Gap 2", "Word", "Corrupt", "Gap 15", "Word"]
    )
  })
})

describe("ToneFormat", () => {
  it("repairs two erased symbols in the normal format and two nibbles in the fast one", () => {
    const word = { word: 1234, speaker: 56, sequence: 7 }
    for (const [format, broken] of [
      [ToneModem.normal, [4, 5, 10, 11]],
      [ToneModem.fast, [3, 8]]
    ] as const) {
      const nibbles = ToneFormat.encodeWord(word, format).map((nibble, i) =>
        broken.some((at) => at === i) ? nibble ^ 9 : nibble
      )
      const reliability = nibbles.map((_, i) => (broken.some((at) => at === i) ? 1 : 20))
      assert.deepStrictEqual(ToneFormat.decodeWord(nibbles, reliability, format), word)
      assert.isUndefined(
        ToneFormat.decodeWord(
          nibbles.map((nibble, i) => (i < 10 ? nibble ^ (i + 1) : nibble)),
          reliability,
          format
        )
      )
    }
  })
})

describe("ToneModem through Opus at 32 kbit/s, decoded at 24 kHz", () => {
  for (const format of [ToneModem.normal, ToneModem.fast]) {
    it.effect(`loses no word of ${format.name} speech`, () =>
      Effect.gen(function* () {
        const encoder = yield* SpeechEncoder.make
        const decoder = (yield* OpusCodec.wasm).make()
        const said = words(80, 3)
        const { pcm } = ToneModem.speak(said, { speaker: 2, sampleRate: SpeechEncoder.ENCODER_RATE, format })
        const heard = concat(
          Array.from({ length: Math.ceil(pcm.length / SpeechEncoder.PACKET_SAMPLES) + 10 }, (_, i) => {
            const frame = pcm.subarray(i * SpeechEncoder.PACKET_SAMPLES, (i + 1) * SpeechEncoder.PACKET_SAMPLES)
            return decoder.decode(encoder.encode(frame)) ?? assert.fail("not Opus")
          })
        )
        const events = hear(heard, { sampleRate: 24_000, format })
        assert.deepStrictEqual(
          wordsOf(events).map(({ word }) => word),
          said
        )
        assert.strictEqual(events.length, said.length)
      })
    )
  }
})
