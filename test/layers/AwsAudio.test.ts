import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as AwsAudio from "../../src/layers/AwsAudio.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import * as StreamTimeline from "../../src/layers/StreamTimeline.ts"

/** 80 ms at 16 kHz. */
const SAMPLES = 1280

const frame = (index: number, samples = SAMPLES) => ({
  position: index * FRAME_SAMPLES,
  pcm: new Float32Array(samples).fill(0.5),
  heardAtMs: 0,
  endsSpeech: false
})

interface Outgoing {
  readonly audio: AwsAudio.AwsAudio
  readonly timeline: StreamTimeline.StreamTimeline
  /** What the network took: `speech` or `silence`, one for each piece. */
  readonly sent: Array<"speech" | "silence">
  readonly bytes: Array<number>
  readonly isOver: () => boolean
}

const outgoing = (name: string, body: (it: Outgoing) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const timeline = StreamTimeline.make(AwsAudio.RATE)
      const audio = AwsAudio.make(timeline, yield* monotonicMs)
      const sent: Outgoing["sent"] = []
      const bytes: Array<number> = []
      let over = false
      yield* audio.chunks.pipe(
        Stream.runForEach((chunk) =>
          Effect.sync(() => {
            sent.push(chunk.some((byte) => byte !== 0) ? "speech" : "silence")
            bytes.push(chunk.length)
          })
        ),
        Effect.andThen(
          Effect.sync(() => {
            over = true
          })
        ),
        Effect.forkScoped
      )
      yield* TestClock.adjust(0)
      yield* body({ audio, timeline, sent, bytes, isOver: () => over })
    })
  )

describe("AwsAudio", () => {
  outgoing(
    "begins with a piece of silence: a service that answers to audio only must not wait for speech",
    ({ sent }) => Effect.sync(() => assert.deepStrictEqual(sent, ["silence"]))
  )

  outgoing("sends live frames at once, and nothing between them", ({ audio, sent }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 50; index++) {
        audio.send(frame(index))
        yield* TestClock.adjust(0)
        assert.strictEqual(sent.length, index + 2)
        yield* TestClock.adjust("80 millis")
      }
      assert.deepStrictEqual(sent.slice(1), Array<"speech">(50).fill("speech"))
    })
  )

  outgoing("is never more than a second ahead of real time", ({ audio, timeline }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 100; index++) audio.send(frame(index))
      for (let second = 0; second <= 8; second++) {
        assert.isAtMost(timeline.sent() / AwsAudio.RATE, second + 1.1)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(timeline.sent(), 101 * SAMPLES)
    })
  )

  outgoing("keeps the stream open with one piece of silence every 10 s without speech", ({ audio, sent }) =>
    Effect.gen(function* () {
      yield* TestClock.adjust("9900 millis")
      assert.strictEqual(sent.length, 1)
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(sent.length, 2)
      audio.send(frame(0))
      yield* TestClock.adjust("9900 millis")
      assert.deepStrictEqual(sent, ["silence", "silence", "speech"])
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(sent.length, 4)
    })
  )

  outgoing("pads with silence at real time, from where speech was played", ({ audio, sent }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 5; index++) audio.send(frame(index))
      const waypoint = audio.pad()
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(sent.slice(1), Array<"speech">(5).fill("speech"))
      assert.strictEqual(waypoint.at(), 6 * SAMPLES)
      yield* TestClock.adjust("2 seconds")
      assert.closeTo(sent.slice(6).length, 25, 2)
      waypoint.release()
      const before = sent.length
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost(sent.length, before + 1)
    })
  )

  outgoing("stops padding as soon as somebody speaks, until the next pause", ({ audio, sent }) =>
    Effect.gen(function* () {
      audio.send(frame(0))
      audio.pad()
      yield* TestClock.adjust("400 millis")
      const before = sent.length
      for (let index = 1; index <= 10; index++) {
        audio.send(frame(index))
        yield* TestClock.adjust("80 millis")
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(sent.slice(before), Array<"speech">(10).fill("speech"))
    })
  )

  outgoing("a waypoint is reached when what was sent before it has gone out", ({ audio }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 50; index++) audio.send(frame(index))
      const waypoint = audio.pad()
      yield* TestClock.adjust("1 second")
      assert.isUndefined(waypoint.at())
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(waypoint.at(), 51 * SAMPLES)
    })
  )

  outgoing("cuts long frames to 200 ms and keeps their place in the voice", ({ audio, bytes, timeline }) =>
    Effect.gen(function* () {
      audio.send(frame(10, 8_000))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(bytes, [2_560, 6_400, 6_400, 3_200])
      assert.strictEqual(timeline.voiceAt(1280 + 8_000), 10 * FRAME_SAMPLES + 12_000)
    })
  )

  outgoing("takes no more than 30 s that wait, besides the second that may be ahead", ({ audio }) =>
    Effect.sync(() => {
      let taken = 0
      while (taken < 1_000 && audio.send(frame(taken))) taken += 1
      assert.closeTo((taken * SAMPLES) / AwsAudio.RATE, 31, 0.2)
    })
  )

  outgoing("ends behind what was sent", ({ audio, isOver, sent }) =>
    Effect.gen(function* () {
      for (let index = 0; index < 20; index++) audio.send(frame(index))
      audio.end()
      yield* TestClock.adjust("100 millis")
      assert.isFalse(isOver())
      yield* TestClock.adjust("1 second")
      assert.isTrue(isOver())
      assert.deepStrictEqual(sent.slice(1), Array<"speech">(20).fill("speech"))
    })
  )

  it.effect("tells for how long a frame was due that nobody came for, and counts no time without one", () =>
    Effect.gen(function* () {
      const audio = AwsAudio.make(StreamTimeline.make(AwsAudio.RATE), yield* monotonicMs)
      const taken = Effect.scoped(Stream.runCollect(Stream.take(audio.chunks, 1)))
      yield* taken
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(audio.blockedMs(), 0)
      audio.send(frame(0))
      yield* TestClock.adjust("2 seconds")
      audio.send(frame(1))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(audio.blockedMs(), 3000)
      yield* taken
      assert.strictEqual(audio.blockedMs(), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(audio.blockedMs(), 1000)
    })
  )
})
