import { assert, describe, it } from "@effect/vitest"
import { type AudioFrame, FRAME_MS, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as EngineLag from "../../src/layers/EngineLag.ts"
import * as StallWatch from "../../src/layers/StallWatch.ts"

const frameAt = (index: number): AudioFrame => ({
  position: index * FRAME_SAMPLES,
  pcm: new Float32Array(FRAME_SAMPLES),
  heardAtMs: 0,
  endsSpeech: false
})

/** Speech as it is spoken, from the first frame on. */
const speaking = (watch: StallWatch.StallWatch, fromMs: number, toMs: number) => {
  for (let ms = fromMs; ms < toMs; ms += FRAME_MS) watch.sent(frameAt(ms / FRAME_MS), ms)
}

describe("an engine of which only words are heard", () => {
  it("is suspected when two seconds of speech have brought none", () => {
    const watch = StallWatch.make(() => false)
    speaking(watch, 0, 1920)
    assert.isFalse(watch.isSuspect(1920))
    assert.strictEqual(watch.dueInMs(1920), 80)
    speaking(watch, 1920, 2080)
    assert.isTrue(watch.isSuspect(2080))
  })

  it("is not suspected of audio that it was sent at once and had no time for", () => {
    const watch = StallWatch.make(() => false)
    for (let index = 0; index < 100; index++) watch.sent(frameAt(index), 0)
    assert.isFalse(watch.isSuspect(1900))
    assert.isTrue(watch.isSuspect(2000))
  })

  it("is given twice the time whenever a suspicion came to nothing, a minute at most, and two seconds again after a calm minute", () => {
    const watch = StallWatch.make(() => false)
    let atMs = 0
    const patience: Array<number> = []
    for (let turn = 0; turn < 7; turn++) {
      const sinceMs = atMs
      while (!watch.isSuspect(atMs)) {
        watch.sent(frameAt(atMs / FRAME_MS), atMs)
        atMs += FRAME_MS
      }
      patience.push(Math.round((atMs - sinceMs) / 1000))
      watch.acquit(atMs)
    }
    assert.deepStrictEqual(patience, [2, 4, 8, 16, 32, 60, 60])
    atMs += 60_080
    speaking(watch, atMs, atMs + 2080)
    assert.isTrue(watch.isSuspect(atMs + 2080))
  })

  it("answers with a word for what was spoken before it, not for what it was sent meanwhile", () => {
    const watch = StallWatch.make(() => false)
    speaking(watch, 0, 1600)
    watch.answered(1600)
    speaking(watch, 1600, 3040)
    assert.isFalse(watch.isSuspect(3040))
    assert.isTrue(watch.owes(38 * FRAME_SAMPLES))
    speaking(watch, 3040, 3600)
    assert.isTrue(watch.isSuspect(3600))
    watch.proven()
    assert.deepStrictEqual([watch.isSuspect(3600), watch.owes(45 * FRAME_SAMPLES)], [false, false])
  })

  it("owes no word of what was sent before a position for what was sent behind it", () => {
    const watch = StallWatch.make(() => false)
    speaking(watch, 0, 1600)
    watch.answered(1600)
    speaking(watch, 1600, 4000)
    assert.deepStrictEqual(
      [20, 29, 30, 50].map((frame) => watch.owes(frame * FRAME_SAMPLES)),
      [false, false, true, true]
    )
  })
})

describe("an engine that tells how far it is", () => {
  it("is stalled when two seconds brought no progress, and suspected of nothing else", () => {
    const watch = StallWatch.make(() => true)
    speaking(watch, 0, 1040)
    watch.progressed(1040)
    speaking(watch, 1040, 3040)
    assert.deepStrictEqual(
      [watch.isStalled(3000), watch.isStalled(3040), watch.isSuspect(60_000)],
      [false, true, false]
    )
  })

  it("may wait for a step of a second", () => {
    const watch = StallWatch.make(() => true)
    speaking(watch, 0, 880)
    assert.isFalse(watch.isStalled(60_000))
  })

  it("falls behind when it is five seconds late for three and comes no nearer", () => {
    const lag = EngineLag.make()
    const verdicts: Array<number> = []
    for (let second = 0; second < 20; second++) {
      for (let index = 0; index < 12.5; index++) lag.sent(frameAt(second * 13 + index))
      lag.progressed(second * 13 * FRAME_SAMPLES * 0.5)
      if (lag.isFallingBehind(second * 1000)) verdicts.push(second)
    }
    assert.isAtLeast(verdicts[0] ?? 0, 10)
    assert.isAtMost(verdicts[0] ?? 0, 14)
  })

  it("does not fall behind while it comes nearer, however late it is", () => {
    const lag = EngineLag.make()
    for (let index = 0; index < 1000; index++) lag.sent(frameAt(index))
    for (let second = 0; second < 20; second++) {
      for (let index = 0; index < 13; index++) lag.sent(frameAt(1000 + second * 13 + index))
      lag.progressed((second + 1) * 20 * FRAME_SAMPLES)
      assert.isFalse(lag.isFallingBehind(second * 1000))
    }
    assert.isAbove(lag.lagMs(), 60_000)
  })
})
