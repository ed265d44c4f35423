import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { rawAudio } from "../../src/domain/AudioFormat.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import type * as SocketVoice from "../../src/layers/SocketVoice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import { difference, tone } from "../support/OpusRecordings.ts"

const { FRAME } = ClientAudio
const pcm24 = rawAudio("pcm16", 24_000)
const bytesOf = (pcm: Float32Array) => ClientAudio.rawBytes(pcm, { encoding: "pcm16", channels: 1 })
/** PCM16 keeps these as they are. */
const sound = (samples: number, from = 0) =>
  Float32Array.from({ length: samples }, (_, n) => Math.round(tone(from + n) * 32_768) / 32_768)
const silence = (samples: number) => new Float32Array(samples)
const joined = (...parts: ReadonlyArray<Float32Array>) => Float32Array.from(parts.flatMap((part) => [...part]))
const play = (voice: SocketVoice.SocketVoice, pcm: Float32Array, fromMs = 0): number => {
  for (const [n, message] of ClientAudio.cut(bytesOf(pcm), 960).entries()) {
    voice.tick(fromMs + 20 * n)
    assert.strictEqual(voice.hear(message, fromMs + 20 * n), undefined)
  }
  return fromMs + pcm.length / 24
}
const ticks = (voice: SocketVoice.SocketVoice, fromMs: number, forMs: number) => {
  for (let now = fromMs; now <= fromMs + forMs; now += 20) voice.tick(now)
}
const finish = Effect.fnUntraced(function* (voice: SocketVoice.SocketVoice) {
  voice.end(1e6)
  return yield* Stream.runCollect(voice.voice.frames)
})
const assertSame = (one: Float32Array, other: Float32Array) => {
  assert.strictEqual(one.length, other.length)
  assert.strictEqual(
    one.findIndex((sample, n) => sample !== other[n]),
    -1
  )
}

const suite = it.layer(OpusDecoder.layer)

describe("SocketVoice", () => {
  suite((it) => {
    it.effect("keeps the first and the last sounds of each phrase and leaves the silence out", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        // 0.5–1.3 s and 2.8–3.9 s of five seconds.
        const said = joined(silence(12_000), sound(19_200), silence(36_000), sound(26_400), silence(26_400))
        const { borders, frames, heardMs } = yield* ClientAudio.listen(decoder, pcm24, [bytesOf(said)])
        assert.strictEqual(heardMs, 5000)
        assert.deepStrictEqual(
          borders.map(({ _tag }) => _tag),
          ["SpeechStarted", "SpeechStopped", "SpeechStarted", "SpeechStopped"]
        )
        const [from = 0, until = 0, again = 0, end = 0] = borders.map(({ atMs }) => atMs)
        assert.approximately(from, 500 - 260, 40)
        assert.approximately(until, 1300 + 400, 80)
        assert.approximately(again, 2800 - 260, 40)
        assert.approximately(end, 3900 + 400, 80)
        const heard = ClientAudio.soundOf(frames, said.length)
        assertSame(heard.subarray(12_000, 31_200), said.subarray(12_000, 31_200))
        assertSame(heard.subarray(67_200, 93_600), said.subarray(67_200, 93_600))
        assert.isAtMost(frames.length, 2 * Math.ceil((1100 + 300 + 440) / 80))
        assert.deepStrictEqual(
          frames.flatMap(({ endsSpeech }, n) => (endsSpeech ? [n] : [])),
          [frames.findIndex(({ endsSpeech }) => endsSpeech), frames.length - 1]
        )
      })
    )

    it.effect("loses no sample of somebody who speaks on while utterances are ended", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        // 80 ms: the end of a frame, whose mark then is a frame of nothing.
        for (const everyMs of [90, 80, 217]) {
          const said = joined(sound(72_000), silence(24_000))
          const voice = yield* ClientAudio.open(decoder, pcm24)
          const ends: Array<number> = []
          for (const [n, message] of ClientAudio.cut(bytesOf(said), everyMs * 48).entries()) {
            voice.hear(message, n * everyMs)
            ends.push(voice.endSpeech(n * everyMs))
            assert.isFalse(voice.isSpeaking())
          }
          const frames = yield* finish(voice)
          for (const [n, { position }] of frames.entries()) assert.isAbove(position, frames[n - 1]?.position ?? -1)
          // Behind a mark that is a frame of nothing, speech begins one sample later.
          const marks = new Set(
            frames.filter(({ pcm }) => pcm.every((one) => one === 0)).map(({ position }) => position)
          )
          const heard = ClientAudio.soundOf(frames, said.length)
          const missing = heard.subarray(0, 72_000).findIndex((one, n) => one !== said[n] && !marks.has(n))
          assert.strictEqual(missing, -1, `every ${everyMs} ms`)
          assert.isAtMost(voice.counters.cutSamples, ends.length)
          assert.deepStrictEqual(
            ends,
            ends.toSorted((a, b) => a - b)
          )
          assert.isTrue(frames.every(({ position }, n) => frames[n - 1]?.position !== position))
          assert.include(
            frames.map(({ position }) => position + FRAME),
            ends[4]
          )
        }
      })
    )

    it.effect("says up to where an utterance goes, also when nothing was said since the last one", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        assert.strictEqual(voice.endSpeech(0), 0)
        play(voice, joined(silence(4800), sound(9600)))
        const end = voice.endSpeech(700)
        // 600 ms of audio, padded to a whole frame.
        assert.isAtLeast(end, 14_400)
        assert.isBelow(end, 14_400 + FRAME)
        assert.strictEqual(voice.endSpeech(800), end)
        play(voice, silence(24_000), 800)
        assert.strictEqual(voice.endSpeech(2000), end)
        const frames = yield* finish(voice)
        assert.strictEqual((frames.at(-1)?.position ?? 0) + FRAME, end)
        assert.isTrue(frames.at(-1)?.endsSpeech)
        assert.strictEqual(voice.endSpeech(3000), end)
      })
    )

    it.effect("keeps its clock at a rate that is no multiple, however often utterances are ended", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const pcm = Float32Array.from({ length: 44_100 }, (_, n) => tone((n * 24_000) / 44_100))
        const voice = yield* ClientAudio.open(decoder, rawAudio("pcm16", 44_100))
        // A seventh of a second, which is no whole number of samples at 24 kHz.
        for (const message of ClientAudio.cut(bytesOf(pcm), 12_600)) {
          voice.hear(message, 0)
          voice.endSpeech(0)
        }
        const frames = yield* finish(voice)
        assert.strictEqual(voice.heardMs(), 1000)
        const expected = Float32Array.from({ length: 24_000 }, (_, n) => tone(n))
        assert.isBelow(
          difference(expected.subarray(100, 23_900), ClientAudio.soundOf(frames).subarray(100, 23_900)),
          -60
        )
      })
    )

    it.effect("does not become deaf by utterances that are ended while nobody speaks", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        const said = sound(24_000)
        for (const message of ClientAudio.cut(bytesOf(said), 240)) {
          voice.hear(message, 0)
          if (!voice.isSpeaking()) voice.endSpeech(0)
        }
        assertSame(ClientAudio.soundOf(yield* finish(voice)).subarray(0, 24_000), said)
      })
    )

    it.effect("ends speech when no audio came for two seconds, and goes on right behind it", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const borders: Array<SocketVoice.SpeechBorder> = []
        const voice = yield* ClientAudio.open(decoder, pcm24, { onSpeech: (border) => borders.push(border) })
        const reading = yield* Effect.forkChild(Stream.runCollect(voice.voice.frames), { startImmediately: true })
        const [first, second] = [sound(12_100), sound(12_000, 12_100)]
        const until = play(voice, first)
        yield* Effect.yieldNow
        while (voice.queued() > 0) yield* Effect.yieldNow
        ticks(voice, until - 20, 1900)
        assert.isTrue(voice.isSpeaking())
        ticks(voice, until + 1880, 200)
        assert.isFalse(voice.isSpeaking())
        play(voice, second, until + 5000)
        voice.end(1e6)
        const frames = yield* Fiber.join(reading)
        assertSame(ClientAudio.soundOf(frames).subarray(0, 24_100), joined(first, second))
        assert.deepStrictEqual(
          borders.map(({ atMs }) => atMs),
          [0, 12_100 / 24, 12_100 / 24, 24_100 / 24]
        )
      })
    )

    it.effect("waits longer for the next piece of somebody who sends long ones", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        yield* Effect.forkChild(Stream.runDrain(voice.voice.frames), { startImmediately: true })
        const piece = bytesOf(sound(72_000))
        for (let n = 0; n < 4; n++) {
          voice.hear(piece, n * 3000)
          yield* Effect.yieldNow
          while (voice.queued() > 0) yield* Effect.yieldNow
          ticks(voice, n * 3000, 2980)
          assert.isTrue(voice.isSpeaking())
        }
        ticks(voice, 12_000, 1020)
        assert.isFalse(voice.isSpeaking())
      })
    )

    it.effect("takes neither a stall of its process nor a reader that is behind for the end of speech", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        const until = play(voice, sound(24_000))
        assert.isAbove(voice.queued(), 0)
        // Nobody reads: the client may be held up for that.
        ticks(voice, until, 5000)
        assert.isTrue(voice.isSpeaking())
        yield* Effect.forkChild(Stream.runDrain(voice.voice.frames), { startImmediately: true })
        while (voice.queued() > 0) yield* Effect.yieldNow
        voice.tick(until + 15_000)
        assert.isTrue(voice.isSpeaking())
        ticks(voice, until + 15_020, 1900)
        assert.isTrue(voice.isSpeaking())
        ticks(voice, until + 16_940, 200)
        assert.isFalse(voice.isSpeaking())
      })
    )

    it.effect("counts what the reader has not asked for, and bounds it when nobody looks", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24, { queueFrames: 16 })
        voice.hear(bytesOf(sound(40 * FRAME)), 0)
        assert.strictEqual(voice.queued(), 16)
        assert.strictEqual(voice.counters.droppedFrames, 24)
        assert.strictEqual(voice.counters.frames, 40)
        const pull = yield* Stream.toPull(voice.voice.frames)
        const [frame] = yield* pull
        // The oldest are gone from the queue, not from the memory.
        assert.strictEqual(frame.position, 24 * FRAME)
        assert.strictEqual(voice.queued(), 15)
        assert.strictEqual([...voice.voice.replay(0)].length, 40)
      })
    )

    it.effect("replays exactly what was heard, from any position, while it goes on", () =>
      Effect.gen(function* () {
        const said = joined(sound(24_000), silence(24_000), sound(24_000, 48_000), silence(14_400))
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        play(voice, said.subarray(0, 60_000))
        const early = voice.voice.replay(30_000)[Symbol.iterator]()
        const first = early.next()
        play(voice, said.subarray(60_000), 2500)
        const frames = yield* finish(voice)
        for (const from of [0, 1, FRAME - 1, FRAME, 20_000, 40_000, 50_000, 1e9]) {
          const expected = frames.filter(({ position }) => position + FRAME > from)
          assert.deepStrictEqual([...voice.voice.replay(from)], expected)
        }
        const rest = [first.value, ...{ [Symbol.iterator]: () => early }]
        assert.deepStrictEqual(rest, [...voice.voice.replay(30_000)])
      })
    )

    it.effect("replays what its memory still holds", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24, { ringBytes: 10 * 2 * FRAME + 100 })
        play(voice, sound(35 * FRAME))
        const slow = voice.voice.replay(0)[Symbol.iterator]()
        assert.strictEqual(slow.next().value?.position, 25 * FRAME)
        play(voice, sound(15 * FRAME, 35 * FRAME))
        // Overwritten under the reader: it goes on with the oldest there is.
        assert.strictEqual(slow.next().value?.position, 40 * FRAME)
        const frames = yield* finish(voice)
        assert.deepStrictEqual([...voice.voice.replay(0)], frames.slice(-10))
        const { ringBytes, ringOverwritten } = voice.counters
        assert.strictEqual(ringBytes, 10 * 2 * FRAME)
        assert.strictEqual(ringOverwritten, frames.length - 10)
      })
    )

    it.effect("changes its format while the clock goes on, and keeps it when told the same again", () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const voice = yield* ClientAudio.open(decoder, rawAudio("pcm16", 16_000))
        const parts = [16_000, 48_000, 24_000] as const
        for (const [n, rate] of parts.entries()) {
          voice.setFormat(rawAudio("pcm16", rate))
          const bytes = bytesOf(ClientAudio.speech(rate, [rate / 1000], n))
          voice.hear(bytes.subarray(0, 999), 0)
          voice.setFormat(rawAudio("pcm16", rate))
          voice.hear(bytes.subarray(999), 0)
        }
        voice.setFormat(ClientAudio.detected)
        const packets = yield* ClientAudio.opus(ClientAudio.speech(48_000, [77], 3))
        voice.hear(ClientAudio.webm(packets), 0)
        const each = ClientAudio.speech(24_000, [1]).length / 24
        const words = ClientAudio.wordsIn(yield* finish(voice))
        assert.deepStrictEqual(
          words.map(({ word }) => word),
          [16, 48, 24, 77]
        )
        words.forEach(({ startMs }, n) => {
          assert.approximately(startMs, n * each + 560, 6)
        })
      })
    )

    it.effect("says that it waits, and what language and engine it wants", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24, { engine: () => "sherpa" })
        assert.isTrue(voice.voice.waits)
        assert.strictEqual(voice.voice.engine?.(), "sherpa")
        assert.strictEqual(voice.voice.language(), "en")
      })
    )

    it.effect("ignores everything after its end", () =>
      Effect.gen(function* () {
        const voice = yield* ClientAudio.open(yield* Decoder, pcm24)
        voice.end(0)
        assert.strictEqual(voice.hear(bytesOf(sound(9600)), 0), undefined)
        voice.setFormat(rawAudio("pcmu", 8000))
        voice.tick(9999)
        voice.end(1)
        assert.deepStrictEqual(yield* Stream.runCollect(voice.voice.frames), [])
        assert.strictEqual(voice.heardMs(), 0)
      })
    )
  })
})
