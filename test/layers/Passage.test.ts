/**
 * Silence that is passed over: what is heard afterwards is what a voice hears that listened all the time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { AudioFrame } from "../../src/domain/Audio.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { difference, payloads } from "../support/OpusRecordings.ts"
import { make, play, type Sent, soundOf } from "../support/SealedVoice.ts"

const phrases = payloads("phrases20")
const digitalSilence = Uint8Array.of(0xf8, 0xff, 0xfe)
/** A microphone that is muted. */
const muted = (count: number, level?: number): ReadonlyArray<Sent> =>
  new Array(count).fill(level === undefined ? { payload: digitalSilence } : { payload: digitalSilence, level })

/** As an honest sender labels what it sends. */
const labelled = Effect.fnUntraced(function* (packets: ReadonlyArray<Uint8Array>) {
  const codec = (yield* Decoder).makeCodec()
  const sent = packets.map((payload): Sent => {
    const pcm = codec.decode(payload) ?? new Float32Array(1)
    const energy = pcm.reduce((sum, sample) => sum + sample * sample, 0) / pcm.length
    return { payload, level: Math.min(127, Math.round(-10 * Math.log10(energy + 1e-13))) }
  })
  codec.close()
  return sent
})
const always = (level: number | undefined, packets: ReadonlyArray<Uint8Array>): ReadonlyArray<Sent> =>
  packets.map((payload) => (level === undefined ? { payload } : { payload, level }))

/** Padded to one size: code 3 with one frame and padding (RFC 6716 §3.2.5). */
const constant = (bytes: number, packet: Uint8Array): Uint8Array => {
  const padding = bytes - packet.length - 2
  const padded = new Uint8Array(bytes)
  padded.set([(packet[0] ?? 0) | 3, 0x41, padding, ...packet.subarray(1)])
  return padded
}

/** The same packets to a voice that sleeps and to one that never does. */
const both = Effect.fnUntraced(function* (sent: ReadonlyArray<Sent>, firstIndex = 1000) {
  const [asleep, awake] = [yield* make({ firstIndex }), yield* make({ firstIndex, isEager: true })]
  play(asleep, sent)
  play(awake, sent)
  return { asleep, heard: yield* asleep.finish, all: yield* awake.finish }
})
const places = (frames: ReadonlyArray<AudioFrame>) =>
  // Of what was kept it is told to within 20 ms when it arrived.
  frames.map(({ endsSpeech, heardAtMs, position }) => ({ position, endsSpeech, heardAtMs: Math.round(heardAtMs) }))
/** The same frames, and nearly the same sound: a decoder that missed silence has settled before it is heard. */
const assertSame = (heard: ReadonlyArray<AudioFrame>, all: ReadonlyArray<AudioFrame>, limit = -40) => {
  assert.deepStrictEqual(places(heard), places(all))
  assert.isBelow(difference(soundOf(all), soundOf(heard)), limit)
}
const stretches = (frames: ReadonlyArray<AudioFrame>) => frames.filter(({ endsSpeech }) => endsSpeech).length

const sleeping = (sentence: string, test: Effect.Effect<void, never, Decoder | Scope.Scope>) =>
  it.effect(sentence, () => Effect.provide(Effect.scoped(test), OpusDecoder.layer), 120_000)

describe("Silence that is passed over", () => {
  sleeping(
    "stays shut but for two packets a second, and the word after it begins as softly as ever",
    Effect.gen(function* () {
      const speech = yield* labelled(phrases)
      const sent = [...speech, ...muted(1000, 127), ...speech, ...muted(500, 127), ...speech]
      const { all, asleep, heard } = yield* both(sent)
      assertSame(heard, all)
      assert.strictEqual(stretches(heard), 6)
      assert.isBelow(asleep.counts.looks, 1700 / 25 + 20)
      // Speech, its end, and what comes before it.
      assert.isBelow(asleep.counts.opened, 3 * phrases.length + 100)
      const { late, lost, packets, reordered } = asleep.voice.counters
      assert.deepStrictEqual([packets, lost, late, reordered], [sent.length, 0, 0, 0])
      assert.strictEqual(asleep.counts.refused, 0)
      // Janus is told of what is certain: that ends with the last packet somebody looked at.
      const { highestSequence = 0, packetsLost } = asleep.reception(7)?.report() ?? {}
      assert.strictEqual(packetsLost, 0)
      assert.isAbove(highestSequence, 1000 + sent.length - 26)
    })
  )

  sleeping(
    "of a room is as silent as of a muted microphone, and a room that becomes quieter lets a soft voice through",
    Effect.gen(function* () {
      const noise = (count: number, level: number): ReadonlyArray<Sent> =>
        Array.from({ length: count }, () => ({ payload: digitalSilence, level }))
      const speech = yield* labelled(phrases)
      const { all, asleep, heard } = yield* both([...noise(500, 66), ...speech, ...noise(400, 62), ...speech])
      assertSame(heard, all)
      assert.isBelow(asleep.counts.opened, 2 * phrases.length + 100)
    })
  )

  for (const [what, silent, spoken] of [
    ["a level that always says silence", muted(500, 127), always(127, phrases)],
    [
      "a level that always says silence, at a constant bit rate",
      always(127, new Array(500).fill(constant(160, digitalSilence))),
      always(
        127,
        phrases.map((one) => constant(160, one))
      )
    ],
    [
      "a size that is always the same",
      always(undefined, new Array(500).fill(constant(160, digitalSilence))),
      always(
        undefined,
        phrases.map((one) => constant(160, one))
      )
    ]
  ] as const) {
    sleeping(
      `is not believed for long: ${what} costs no word`,
      Effect.gen(function* () {
        const sent = [...silent, ...spoken, ...silent, ...spoken]
        const { all, asleep, heard } = yield* both(sent.map(({ payload }) => ({ payload })))
        const lying = yield* make()
        play(lying, sent)
        const said = yield* lying.finish
        assertSame(heard, all)
        assert.deepStrictEqual(
          said.map(({ position }) => position),
          all.map(({ position }) => position)
        )
        assert.isBelow(difference(soundOf(all), soundOf(said)), -40)
        // Each frame of the second time is there when it always was; of the first, half a second and the doubt later.
        const lateness = said.map(({ heardAtMs }, n) => heardAtMs - (all[n]?.heardAtMs ?? 0))
        assert.isTrue(
          lateness.every((ms) => ms <= 20),
          `${Math.max(...lateness)} ms`
        )
        assert.isAtLeast(asleep.counts.opened, phrases.length)
        // The second silence is opened, all of it.
        assert.isAbove(lying.counts.opened, 500 + 2 * phrases.length)
      })
    )
  }

  sleeping(
    "is known by the size of a muted microphone's packets where there is no level",
    Effect.gen(function* () {
      const sent = [...muted(500), ...always(undefined, phrases), ...muted(1000), ...always(undefined, phrases)]
      const { all, asleep, heard } = yield* both(sent)
      assertSame(heard, all)
      assert.isBelow(asleep.counts.opened, 2 * phrases.length + 150)
    })
  )

  sleeping(
    "may last longer than sequence numbers do: the one that follows is of the right round",
    Effect.gen(function* () {
      const speech = yield* labelled(phrases)
      const sent = [...speech, ...muted(100_000, 127), ...speech]
      const { all, asleep, heard } = yield* both(sent, 50_000)
      assertSame(heard, all)
      assert.strictEqual(asleep.counts.refused, 0)
      assert.isBelow(asleep.counts.opened + asleep.counts.looks, 5000)
    })
  )

  sleeping(
    "moves nothing when it is forged, nor does anything forged",
    Effect.gen(function* () {
      const speech = yield* labelled(phrases)
      const sent = [...speech, ...muted(300, 127), ...speech]
      const [attacked, left] = [yield* make(), yield* make()]
      play(left, sent)
      let index = 5
      for (const packet of sent) {
        attacked.wait()
        for (const level of [127, 100, 45, 0]) {
          index = (index * 40_503 + 7) % 0x1_0000
          attacked.give({ payload: digitalSilence, level, index, timestamp: index * 7, isForged: true })
        }
        attacked.give(packet)
      }
      const [said, all] = [yield* attacked.finish, yield* left.finish]
      assert.deepStrictEqual(
        said.map(({ position }) => position),
        all.map(({ position }) => position)
      )
      assert.isBelow(difference(soundOf(all), soundOf(said)), -30)
      assert.strictEqual(attacked.voice.counters.lost + attacked.voice.counters.late, 0)
      const { highestSequence = 0, packetsLost } = attacked.reception(7)?.report() ?? {}
      assert.strictEqual(packetsLost, 0)
      assert.approximately(highestSequence, 1000 + sent.length, 32)
    })
  )

  sleeping(
    "goes on when its source changes",
    Effect.gen(function* () {
      const speech = yield* labelled(phrases)
      const other = (sent: ReadonlyArray<Sent>) =>
        sent.map((one, n) => ({ ...one, ssrc: 8, index: 300 + n, timestamp: 77 + n * 960 }))
      const sent = [...speech, ...muted(200, 127), ...other([...muted(200, 127), ...speech])]
      const { all, asleep, heard } = yield* both(sent)
      assertSame(heard, all)
      assert.strictEqual(asleep.voice.counters.packets, sent.length)
    })
  )

  sleeping(
    "does not make a packet late that comes after the silence which was sent behind it",
    Effect.gen(function* () {
      const speech = yield* labelled(phrases)
      const sent = [...muted(200, 127), ...speech.slice(25)].map((one, n) => ({ ...one, index: 1000 + n }))
      const first = sent.findIndex(({ level = 127 }) => level < 50)
      const moved = [...sent.slice(0, first - 1), sent[first], sent[first - 1], ...sent.slice(first + 1)]
      const shuffled = moved.filter((one) => one !== undefined)
      const asleep = yield* make()
      play(asleep, shuffled)
      const heard = yield* asleep.finish
      const straight = yield* make({ isEager: true })
      play(straight, sent)
      const all = yield* straight.finish
      assert.strictEqual(asleep.voice.counters.late, 0)
      assert.strictEqual(asleep.voice.counters.lost, 0)
      assert.isBelow(difference(soundOf(all), soundOf(heard)), -30)
    })
  )
})
