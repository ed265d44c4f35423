import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { LanguageId } from "../../src/domain/Language.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as Voice from "../../src/layers/Voice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { type Arrival, payloads, send } from "../support/OpusRecordings.ts"

/** Twelve seconds of speech, in the end half a frame. */
const speech = send(
  Array.from({ length: 4 }, () => payloads("mono20"))
    .flat()
    .slice(2)
)
const open = (decoder: Decoder["Service"], id: string) =>
  Voice.make({ id, language: () => LanguageId.make("en"), decoder, now: () => 1e6, ringBytes: 20_000 })
const play = (voice: Voice.HeardVoice, { atMs, packet }: Arrival) => {
  voice.onPacket(packet, atMs)
  voice.tick(atMs)
}

describe("Overload", () => {
  it.effect("drops the oldest audio of a voice nobody reads, counts it, and keeps its memory bounded", () =>
    Effect.gen(function* () {
      const decoder = yield* Decoder
      const stuck = yield* open(decoder, "stuck")
      for (const one of speech) play(stuck, one)
      assert.strictEqual(stuck.queued(), 64)
      assert.isAtMost(stuck.counters.ringBytes, 20_000)
      stuck.end()
      const frames = yield* Stream.runCollect(stuck.voice.frames)
      const { droppedFrames, frames: all, ringOverwritten } = stuck.counters
      assert.strictEqual(all, 150)
      assert.strictEqual(frames.length, 64)
      assert.strictEqual(droppedFrames, all - frames.length)
      // The newest stay, in order.
      assert.deepStrictEqual(
        frames.map(({ position }) => position),
        Array.from({ length: 64 }, (_, n) => (all - 64 + n) * 1920)
      )
      assert.isTrue(frames.at(-1)?.endsSpeech)
      assert.isAbove(ringOverwritten, 0)
    }).pipe(Effect.provide(OpusDecoder.layer))
  )

  it.effect("of one voice is not noticed by another", () =>
    Effect.gen(function* () {
      const decoder = yield* Decoder
      const stuck = yield* open(decoder, "stuck")
      const read = yield* open(decoder, "read")
      const positions: Array<number> = []
      yield* read.voice.frames.pipe(
        Stream.runForEach(({ position }) => Effect.sync(() => positions.push(position))),
        Effect.forkChild
      )
      for (const one of speech) {
        play(stuck, one)
        play(read, one)
        yield* Effect.yieldNow
      }
      read.end()
      for (let n = 0; n < 10; n++) yield* Effect.yieldNow
      assert.strictEqual(read.counters.droppedFrames, 0)
      assert.deepStrictEqual(
        positions,
        Array.from({ length: 150 }, (_, n) => n * 1920)
      )
      assert.isAbove(stuck.counters.droppedFrames, 0)
    }).pipe(Effect.provide(OpusDecoder.layer))
  )
})
