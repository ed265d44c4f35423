import { describe, expect, it } from "@effect/vitest"
import { type Cause, Deferred, Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, samplesOfMs } from "../../src/domain/Audio.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as Hearing from "../../src/layers/Hearing.ts"
import * as VoiceLine from "../../src/layers/VoiceLine.ts"

const STEP = samplesOfMs(20)
const tone = Float32Array.from({ length: STEP }, (_, n) => 0.3 * Math.sin(n / 5))
const hush = new Float32Array(STEP)

/** Somebody who speaks and pauses, on a line to a receiver that notes what it gets. */
const scene = Effect.fnUntraced(function* () {
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(64)
  const hearing = Hearing.make({ queue, preRollMs: 0 })
  const line = VoiceLine.make({
    id: "voice",
    frames: Stream.fromQueue(queue),
    direct: hearing.direct,
    replay: () => [],
    language: () => LanguageId.make("en")
  })
  const got: Array<number | "pause"> = []
  const held = { waitMs: 0, pause: Effect.void, copies: false }
  const receiver: VoiceLine.Receiver = {
    waitMs: () => held.waitMs,
    deliver: (frame) => {
      got.push(frame.position)
      return held.copies
    },
    pause: Effect.suspend(() => {
      got.push("pause")
      return held.pause
    })
  }
  let position = 0
  const hear = (pcm: Float32Array, ms: number) => {
    for (let n = 0; n < ms / 20; n++) {
      hearing.hear(position, pcm, { atMs: 0, audioLevel: undefined, packet: new Uint8Array(0) })
      position += STEP
    }
  }
  const feeding = yield* Effect.forkScoped(line.feed)
  yield* settled
  return {
    line,
    got,
    held,
    receiver,
    hearing,
    feeding,
    speak: (ms: number) => hear(tone, ms),
    pause: () => hear(hush, 800)
  }
})

const settled = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const positions = (got: ReadonlyArray<number | "pause">) => got.filter((one) => one !== "pause")
const inOrder = (frames: ReadonlyArray<number>) => frames.every((at, n) => n === 0 || at > (frames[n - 1] ?? 0))

describe("VoiceLine", () => {
  it.effect("hands a frame to the engine in the moment in which it is heard", () =>
    Effect.gen(function* () {
      const { got, line, receiver, speak } = yield* scene()
      line.connect(receiver)
      speak(480)
      expect(got.length).toBeGreaterThan(3)
    })
  )

  it.effect("keeps a frame in the moment in which it is heard, while there is no engine", () =>
    Effect.gen(function* () {
      const { line, speak } = yield* scene()
      speak(480)
      expect(line.backlog().take(100).length).toBeGreaterThan(3)
    })
  )

  it.effect("does not connect whoever was not sent what waits", () =>
    Effect.gen(function* () {
      const { got, line, receiver, speak } = yield* scene()
      speak(480)
      expect(line.connect(receiver)).toBe(false)
      line.backlog().take(100)
      expect(line.connect(receiver)).toBe(true)
      speak(480)
      expect(inOrder(positions(got))).toBe(true)
    })
  )

  it.effect("sends nothing behind the end of speech before the engine was told of the pause", () =>
    Effect.gen(function* () {
      const { got, held, hearing, line, pause, receiver, speak } = yield* scene()
      const flushed = yield* Deferred.make<void>()
      held.pause = Deferred.await(flushed)
      line.connect(receiver)
      speak(480)
      pause()
      speak(480)
      yield* settled
      expect(got.at(-1)).toBe("pause")
      speak(480)
      expect(got.at(-1)).toBe("pause")
      yield* Deferred.succeed(flushed, undefined)
      yield* settled
      const { frames } = hearing.counters()
      expect(positions(got)).toHaveLength(frames)
      expect(inOrder(positions(got))).toBe(true)
      speak(160)
      expect(positions(got)).toHaveLength(hearing.counters().frames)
      expect(hearing.counters().frames).toBe(frames + 2)
    })
  )

  it.effect("holds up what an engine cannot take yet, and lets nothing overtake it", () =>
    Effect.gen(function* () {
      const { got, held, hearing, line, receiver, speak } = yield* scene()
      line.connect(receiver)
      speak(480)
      const before = got.length
      held.waitMs = 500
      speak(480)
      yield* settled
      held.waitMs = 0
      speak(480)
      yield* settled
      expect(got).toHaveLength(before)
      yield* TestClock.adjust("500 millis")
      yield* settled
      expect(got).toHaveLength(hearing.counters().frames)
      expect(inOrder(positions(got))).toBe(true)
      speak(480)
      expect(got).toHaveLength(hearing.counters().frames)
    })
  )

  it.effect("drops the oldest of what waits, and sends the rest in order", () =>
    Effect.gen(function* () {
      const { got, held, hearing, line, receiver, speak } = yield* scene()
      line.connect(receiver)
      held.waitMs = 500
      speak(10_000)
      yield* settled
      held.waitMs = 0
      yield* TestClock.adjust("500 millis")
      yield* settled
      const { droppedFrames, frames } = hearing.counters()
      expect(droppedFrames).toBeGreaterThan(0)
      expect(got).toHaveLength(frames - droppedFrames)
      expect(inOrder(positions(got))).toBe(true)
    })
  )

  it.effect("writes over the samples of a frame only when nobody keeps it", () =>
    Effect.gen(function* () {
      const { held, line, receiver, speak } = yield* scene()
      const buffers: Array<Float32Array> = []
      line.connect({
        ...receiver,
        deliver: (frame) => {
          buffers.push(frame.pcm)
          return held.copies
        }
      })
      speak(480)
      expect(new Set(buffers).size).toBe(buffers.length)
      held.copies = true
      speak(80)
      buffers.length = 0
      speak(480)
      expect(new Set(buffers).size).toBe(1)
      const tapped = line.tap()
      buffers.length = 0
      speak(480)
      const kept = tapped.take(100).filter(({ pcm }) => buffers.includes(pcm))
      expect(new Set(kept.map(({ pcm }) => pcm)).size).toBe(kept.length)
      expect(kept.length).toBe(buffers.length)
    })
  )

  it.effect("gives the last frame before it says that the voice has ended", () =>
    Effect.gen(function* () {
      const { feeding, got, hearing, line, receiver, speak } = yield* scene()
      line.connect(receiver)
      speak(500)
      hearing.end()
      yield* Fiber.await(feeding)
      expect(line.ended()).toBe(true)
      expect(got.at(-1)).toBe("pause")
      expect(positions(got)).toHaveLength(hearing.counters().frames)
    })
  )
})
