import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { AudioFrame } from "../../src/domain/Audio.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as Voice from "../../src/layers/Voice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import type { MayWait, RtpPacket } from "../../src/services/PeerConnection.ts"
import { type Arrival, difference, hasAddon, hasNative, hear, payloads, send } from "../support/OpusRecordings.ts"

const FRAME = 1920
const mono = payloads("mono20")
const phrases = payloads("phrases20")

type Options = Partial<Voice.VoiceOptions>
const open = (decoder: Decoder["Service"], options: Options = {}) =>
  Voice.make({
    id: "a",
    language: () => LanguageId.make("en"),
    decoder,
    now: () => 1e6,
    queueCapacity: 10_000,
    ...options
  })
/** What is decoded elsewhere comes back now. */
const settle = (voice: Voice.HeardVoice) => voice.newest(() => {})
/** Packets as they arrive, a tick every 20 ms in between; what is decoded elsewhere comes back two packets at a time. */
const play = (voice: Voice.HeardVoice, arrivals: ReadonlyArray<Arrival>, fromMs = 0): number => {
  let now = fromMs
  for (const [n, { atMs, packet }] of arrivals.entries()) {
    for (; now < atMs; now += 20) voice.tick(now)
    voice.onPacket(packet, atMs)
    if (n % 2 === 1) settle(voice)
  }
  settle(voice)
  return now
}
/** Gives packets as late as the voice allows, as `SocketReader` does. */
const inCompany = (voice: Voice.HeardVoice) => {
  let held: ReadonlyArray<Arrival> = []
  let heldBack = 0
  let may: MayWait | undefined
  const onPacket = (packet: RtpPacket, atMs: number) => {
    const one = { packet, atMs }
    if (may !== undefined && held.length < may.packets && atMs < may.untilMs) {
      held = [...held, one]
      heldBack++
      return
    }
    for (const each of [...held, one]) voice.onPacket(each.packet, each.atMs)
    held = []
    const said = voice.silence.mayWait?.()
    may = said === undefined ? undefined : { ...said }
  }
  return { onPacket, heldBack: () => heldBack }
}
const ticks = (voice: Voice.HeardVoice, fromMs: number, forMs: number) => {
  for (let now = fromMs; now < fromMs + forMs; now += 20) voice.tick(now)
}
const finish = Effect.fnUntraced(function* (voice: Voice.HeardVoice) {
  voice.end()
  return yield* Stream.runCollect(voice.voice.frames)
})
/** Stretches of speech; fails unless frames are whole, follow each other without a gap within a stretch, at growing positions. */
const stretches = (
  frames: ReadonlyArray<AudioFrame>
): ReadonlyArray<{ readonly start: number; readonly end: number }> => {
  const all: Array<{ start: number; end: number }> = []
  let last: AudioFrame | undefined
  for (const frame of frames) {
    assert.strictEqual(frame.pcm.length, FRAME)
    const end = frame.position + FRAME
    if (last !== undefined) {
      const due = last.position + FRAME
      // a stretch may begin within the last frame of the one before
      if (last.endsSpeech) assert.isAbove(frame.position, last.position)
      else assert.strictEqual(frame.position, due)
      assert.isAtLeast(frame.heardAtMs, last.heardAtMs)
    }
    const current = all.at(-1)
    if (last === undefined || last.endsSpeech || current === undefined) all.push({ start: frame.position, end })
    else current.end = end
    last = frame
  }
  assert.isTrue(last?.endsSpeech ?? true)
  return all
}
const soundOf = (frames: ReadonlyArray<AudioFrame>): Float32Array => {
  const pcm = new Float32Array((frames.at(-1)?.position ?? 0) + FRAME)
  for (const frame of frames) pcm.set(frame.pcm, frame.position)
  return pcm
}
/** Same frames, same flags, same sound (a fresh decoder is −30 dB off where it had to guess what came before). */
const assertReplays = (live: ReadonlyArray<AudioFrame>, replay: Iterable<AudioFrame>, from = 0, limit = -30) => {
  const expected = live.filter(({ position }) => position + FRAME > from)
  const again = [...replay]
  assert.deepStrictEqual(
    again.map(({ endsSpeech, position }) => ({ position, endsSpeech })),
    expected.map(({ endsSpeech, position }) => ({ position, endsSpeech }))
  )
  assert.isBelow(difference(soundOf(expected), soundOf(again)), limit)
}

const suite = (
  name: string,
  layer: typeof OpusDecoder.layerAddon | typeof OpusDecoder.layerNative | typeof OpusDecoder.layerWasm
) => {
  const hearing = (
    sentence: string,
    test: (decoder: Decoder["Service"]) => Effect.Effect<void, never, import("effect").Scope.Scope>
  ) => it.effect(sentence, () => Effect.provide(Decoder.use(test), layer))

  describe(`Voice with ${name}`, () => {
    hearing("lets packets wait that complete no frame: every frame is the same, and none is later", (decoder) =>
      Effect.gen(function* () {
        const arrivals = send(phrases)
        const [eager, patient] = [yield* open(decoder), yield* open(decoder)]
        const { heldBack, onPacket } = inCompany(patient)
        for (const { atMs, packet } of arrivals) {
          for (const voice of [eager, patient]) voice.tick(atMs - 1)
          eager.onPacket(packet, atMs)
          onPacket(packet, atMs)
          for (const voice of [eager, patient]) settle(voice)
          assert.strictEqual(patient.queued(), eager.queued())
        }
        const [expected, frames] = [yield* finish(eager), yield* finish(patient)]
        assert.deepStrictEqual([...frames], [...expected])
        // Three of four, of about 3.5 s with what comes before and after.
        assert.isAbove(heldBack(), 110)
      })
    )

    hearing("lets none wait while one is missing, nor longer than for the next to come", (decoder) =>
      Effect.gen(function* () {
        const spoken = send(phrases).slice(0, 50)
        const voice = yield* open(decoder)
        play(voice, spoken)
        const may = voice.silence.mayWait?.()
        const newestMs = spoken.at(-1)?.atMs ?? 0
        assert.isTrue(voice.isSpeaking())
        assert.isAtMost(may?.untilMs ?? Number.POSITIVE_INFINITY, newestMs + 100)
        const [, second, third] = send(phrases).slice(50)
        voice.onPacket((second ?? assert.fail()).packet, newestMs + 40)
        assert.isUndefined(voice.silence.mayWait?.())
        // It is given up.
        voice.tick(newestMs + 81)
        voice.onPacket((third ?? assert.fail()).packet, newestMs + 82)
        settle(voice)
        assert.isDefined(voice.silence.mayWait?.())
        voice.end()
        assert.isUndefined(voice.silence.mayWait?.())
      })
    )

    hearing("gives speech with what came just before it, and nothing else", (decoder) =>
      Effect.gen(function* () {
        const arrivals = send(phrases)
        const voice = yield* open(decoder)
        ticks(voice, play(voice, arrivals), 200)
        const frames = yield* finish(voice)
        const heard = stretches(frames)
        // Sound at 0.5–1.3 s, and at 2.3–4 s with a pause of 200 ms in it; the gate needs up to 60 ms, a frame ends 360–440 ms after.
        assert.strictEqual(heard.length, 2)
        for (const [n, [from, until]] of [
          [0.5, 1.3],
          [2.3, 4]
        ].entries()) {
          const { end = 0, start = 0 } = heard[n] ?? {}
          assert.approximately(start / 24_000, (from ?? 0) - 0.25, 0.04)
          assert.approximately(end / 24_000, (until ?? 0) + 0.4, 0.08)
        }
        const { pcm } = hear(decoder, arrivals)
        for (const { end, start } of heard) {
          assert.isBelow(difference(pcm.subarray(start, end), soundOf(frames).subarray(start, end)), -80)
        }
        assert.strictEqual(voice.counters.frames, frames.length)
        assert.strictEqual(voice.counters.droppedFrames + voice.counters.cutSamples, 0)
        assert.strictEqual(voice.counters.packets, phrases.length)
      })
    )

    hearing("hands a frame on the moment its last sample is heard", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        let spoken = 0
        for (const { atMs, packet } of send(mono)) {
          voice.onPacket(packet, atMs)
          if (!voice.isSpeaking()) continue
          spoken = atMs * 24
          assert.strictEqual(voice.queued(), Math.floor(spoken / FRAME))
        }
        const frames = yield* finish(voice)
        for (const { endsSpeech, heardAtMs, position } of frames) {
          if (!endsSpeech) assert.approximately(heardAtMs, Math.ceil((position + FRAME) / 480) * 20, 20)
        }
        assert.strictEqual(frames.length, Math.ceil((150 * 480) / FRAME))
      })
    )

    hearing("ends speech 420 ms after packets stop behind a word", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        // Sound ends at 1.3 s.
        const before = play(voice, send(phrases.slice(0, 77)))
        ticks(voice, before, 420)
        assert.isTrue(voice.isSpeaking())
        voice.tick(before + 420)
        assert.isFalse(voice.isSpeaking())
      })
    )

    hearing(
      "ends speech a second after packets stop within a word, and has room for those that were only late",
      (decoder) =>
        Effect.gen(function* () {
          const voice = yield* open(decoder)
          const before = play(voice, send(mono.slice(0, 50)))
          ticks(voice, before, 1020)
          assert.isTrue(voice.isSpeaking())
          voice.tick(before + 1020)
          assert.isFalse(voice.isSpeaking())
          // A stall of the network: what follows comes 1.2 s late, with the timestamps it had.
          const rest = send(mono.slice(50), { timestamp: 5000 + 50 * 960, sequenceNumber: 1050, fromMs: 2200 })
          ticks(voice, play(voice, rest, before + 1040), 1100)
          const frames = yield* finish(voice)
          const heard = stretches(frames)
          assert.deepStrictEqual(
            heard.map(({ start }) => start),
            [0, 50 * 480]
          )
          assert.strictEqual(voice.counters.cutSamples, 0)
          const padded = frames[12]
          assert.isTrue(padded?.endsSpeech)
          assert.strictEqual(padded?.silence, FRAME - 960)
          assert.isTrue(padded?.pcm.subarray(960).every((sample) => sample === 0))
          assertReplays(frames, voice.voice.replay(0))
        })
    )

    hearing("cuts nothing where the network stands still for a second in the middle of a word", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        const before = play(voice, send(mono.slice(0, 50)))
        ticks(voice, before, 1000)
        const late = send(mono.slice(50, 100), { timestamp: 5000 + 50 * 960, sequenceNumber: 1050 })
        for (const { packet } of late) voice.onPacket(packet, before + 1001)
        const rest = send(mono.slice(100), { timestamp: 5000 + 100 * 960, sequenceNumber: 1100, fromMs: before + 1001 })
        play(voice, rest, before + 1001)
        assert.isTrue(voice.isSpeaking())
        const frames = yield* finish(voice)
        assert.strictEqual(stretches(frames).length, 1)
        assert.strictEqual(voice.counters.cutSamples, 0)
        assertReplays(frames, voice.voice.replay(0))
      })
    )

    hearing("does not take a stall of its own process for the end of speech", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        const before = play(voice, send(mono.slice(0, 50)))
        voice.tick(before)
        // The process stands still; the first that runs afterwards is the timer, then the packets that waited in the socket.
        voice.tick(before + 400)
        const waiting = send(mono.slice(50), { timestamp: 5000 + 50 * 960, sequenceNumber: 1050, fromMs: 1000 })
        for (const { packet } of waiting) voice.onPacket(packet, before + 401)
        assert.isTrue(voice.isSpeaking())
        const frames = yield* finish(voice)
        assert.strictEqual(stretches(frames).length, 1)
        assert.strictEqual(voice.counters.cutSamples, 0)
      })
    )

    hearing("does not take it for that either when it was decoding as it stood still", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        const arrivals = send(mono)
        const before = play(voice, arrivals.slice(0, 50))
        for (const { packet } of arrivals.slice(50, 51)) voice.onPacket(packet, before)
        voice.tick(before)
        voice.tick(before + 600)
        settle(voice)
        voice.tick(before + 620)
        assert.isTrue(voice.isSpeaking())
        ticks(voice, before + 640, 1000)
        assert.isFalse(voice.isSpeaking())
      })
    )

    hearing("marks the end with a frame of silence when the last one was already full", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        ticks(voice, play(voice, send(mono.slice(0, 48))), 1200)
        assert.isFalse(voice.isSpeaking())
        const frames = yield* finish(voice)
        assert.deepStrictEqual(
          frames.map(({ endsSpeech }) => endsSpeech),
          [...new Array(12).fill(false), true]
        )
        assert.isTrue(frames[12]?.pcm.every((sample) => sample === 0))
        assertReplays(frames, voice.voice.replay(0))
      })
    )

    hearing("fills short gaps with silence and does not lose the time", (decoder) =>
      Effect.gen(function* () {
        const arrivals = send(mono)
        const { pcm } = hear(decoder, arrivals)
        const voice = yield* open(decoder)
        // 180 ms are lost, but what follows comes in a burst: no timer sees the gap.
        const burst = arrivals
          .filter((_, n) => n < 60 || n >= 69)
          .map((one, n) => (n >= 60 ? { ...one, atMs: one.atMs - 160 } : one))
        play(voice, burst)
        const frames = yield* finish(voice)
        assert.strictEqual(stretches(frames).length, 1)
        const sound = soundOf(frames)
        assert.isTrue(sound.subarray(60 * 480, 69 * 480).every((sample) => sample === 0))
        assert.isBelow(difference(pcm.subarray(80 * 480, 140 * 480), sound.subarray(80 * 480, 140 * 480)), -25)
        assert.strictEqual(voice.counters.lost, 9)
        assertReplays(frames, voice.voice.replay(0))
      })
    )

    hearing("takes a gap longer than the hang-over for silence", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        play(voice, send(mono.slice(0, 50)))
        play(voice, send(mono.slice(50), { timestamp: 5000 + 80 * 960, sequenceNumber: 1050, fromMs: 1000 }), 1000)
        const frames = yield* finish(voice)
        assert.deepStrictEqual(
          stretches(frames).map(({ start }) => start),
          [0, 80 * 480]
        )
        assertReplays(frames, voice.voice.replay(0))
      })
    )

    hearing("ends for DTX and comes back at the right position", (decoder) =>
      Effect.gen(function* () {
        const all = send(payloads("dtx20"))
        const sent = all.filter(
          ({ packet: { payload } }, n) => payload.length > 2 || (all[n - 1]?.packet.payload.length ?? 0) > 2
        )
        const voice = yield* open(decoder)
        ticks(
          voice,
          play(
            voice,
            sent.map(({ atMs, packet }, n) => ({ atMs, packet: { ...packet, sequenceNumber: n } }))
          ),
          200
        )
        const frames = yield* finish(voice)
        assert.strictEqual(stretches(frames).length, 2)
        const { pcm } = hear(decoder, all)
        assert.isBelow(difference(pcm.subarray(78_000, 90_000), soundOf(frames).subarray(78_000, 90_000)), -25)
        assertReplays(frames, voice.voice.replay(0))
      })
    )

    hearing("replays from any position, while it goes on and afterwards", (decoder) =>
      Effect.gen(function* () {
        const arrivals = send(phrases)
        const voice = yield* open(decoder)
        play(voice, arrivals.slice(0, 175))
        assert.isTrue(voice.isSpeaking())
        const early = [...voice.voice.replay(0)]
        assert.isFalse(early.at(-1)?.endsSpeech)
        const reader = voice.voice.replay(40_000)[Symbol.iterator]()
        reader.next()
        ticks(voice, play(voice, arrivals.slice(175), 175 * 20), 500)
        const frames = yield* finish(voice)
        assert.deepStrictEqual(
          early.map(({ position }) => position),
          frames.slice(0, early.length).map(({ position }) => position)
        )
        // What was heard since the replay began comes too.
        let last: AudioFrame | undefined
        for (let next = reader.next(); next.done !== true; next = reader.next()) last = next.value
        assert.strictEqual(last?.position, frames.at(-1)?.position)
        for (const from of [0, 7000, 20_000, 43_000, 60_001, 75_000, 90_000]) {
          assertReplays(frames, voice.voice.replay(from), from)
        }
        assert.deepStrictEqual([...voice.voice.replay(1e9)], [])
      })
    )

    hearing("replays what the ring still holds, on the same grid", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder, { ringBytes: 6000 })
        play(voice, send(mono))
        const frames = yield* finish(voice)
        const again = [...voice.voice.replay(0)]
        assert.isAbove(voice.counters.ringOverwritten, 50)
        assert.isAtMost(voice.counters.ringBytes, 6000)
        assert.isAbove(again.length, 10)
        assertReplays(frames, again, again[0]?.position)
      })
    )

    hearing("gives whole frames at growing positions whatever a network does, and replays them", (decoder) =>
      Effect.gen(function* () {
        let state = 5
        const chance = (percent: number) => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
          return (state >>> 8) % 100 < percent
        }
        for (let round = 0; round < 15; round++) {
          const voice = yield* open(decoder)
          let delay = 0
          const disturbed = send(phrases).flatMap((one) => {
            if (chance(3)) delay = chance(50) ? 250 : 60
            delay = Math.max(0, delay - 15)
            if (chance(6)) return []
            const packet = {
              ...one.packet,
              ...(chance(1) ? { timestamp: state } : {}),
              ...(chance(1) ? { ssrc: 9 } : {})
            }
            const moved = { packet, atMs: one.atMs + delay }
            return chance(4) ? [moved, moved] : [moved]
          })
          ticks(
            voice,
            play(
              voice,
              disturbed.sort((one, other) => one.atMs - other.atMs)
            ),
            200
          )
          const frames = yield* finish(voice)
          assert.isAtLeast(stretches(frames).length, 2)
          assertReplays(frames, voice.voice.replay(0), 0, -20)
        }
      })
    )

    hearing("counts what it cannot decode and stays silent", (decoder) =>
      Effect.gen(function* () {
        const voice = yield* open(decoder)
        play(voice, send(mono.map((_, n) => Uint8Array.from([0xff, 0xff, n, n * 7, n * 13]))))
        assert.strictEqual(voice.counters.undecodable, mono.length)
        assert.deepStrictEqual(yield* finish(voice), [])
        voice.onPacket({ sequenceNumber: 1, timestamp: 1, ssrc: 1, payload: new Uint8Array(9) }, 9999)
        voice.tick(10_000)
        voice.end()
      })
    )
  })
}

suite("libopus-wasm (WebAssembly)", OpusDecoder.layerWasm)
if (hasNative) suite("@discordjs/opus (native)", OpusDecoder.layerNative)
const isBeside = () => true
if (hasAddon) suite("our own addon, beside JavaScript", OpusDecoder.layerAddonWith(isBeside))
