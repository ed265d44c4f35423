import { assert, describe, it } from "@effect/vitest"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as FrameBacklog from "../../src/layers/FrameBacklog.ts"

/** Each sample is its position in thousands of frames: what was sent can be told from what was heard. */
const frameAt = (position: number, endsSpeech = false): AudioFrame => ({
  position,
  pcm: Float32Array.from({ length: FRAME_SAMPLES }, (_, index) => position + index),
  heardAtMs: 0,
  endsSpeech
})
const frames = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => frameAt((from + index) * FRAME_SAMPLES))
const samples = (sent: ReadonlyArray<AudioFrame>) => sent.flatMap((frame) => [...frame.pcm])
const drain = (backlog: FrameBacklog.FrameBacklog) => {
  const all: Array<AudioFrame> = []
  for (let some = backlog.take(4); some.length > 0; some = backlog.take(4)) all.push(...some)
  return all
}
const positions = (sent: ReadonlyArray<AudioFrame>) => sent.map((frame) => frame.position / FRAME_SAMPLES)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("FrameBacklog", () => {
  it("gives the newest 25 frames as they came and never asks the ring for them", () => {
    const backlog = FrameBacklog.make(() => assert.fail("the ring was read"))
    for (const frame of frames(0, 25)) backlog.add(frame)
    assert.deepStrictEqual(positions(drain(backlog)), upTo(25))
    assert.isTrue(backlog.isEmpty())
  })

  it("gives at most what it is asked for", () => {
    const backlog = FrameBacklog.make(() => [])
    for (const frame of frames(0, 10)) backlog.add(frame)
    assert.deepStrictEqual([backlog.take(4).length, backlog.take(4).length, backlog.take(4).length], [4, 4, 2])
  })

  it("reads what is older from the ring, from the first frame that was not sent", () => {
    const asked: Array<number> = []
    const backlog = FrameBacklog.make((from) => {
      asked.push(from)
      return frames(from / FRAME_SAMPLES, 100 - from / FRAME_SAMPLES)
    })
    backlog.pass(frameAt(0))
    for (const frame of frames(1, 99)) backlog.add(frame)
    assert.deepStrictEqual(positions(drain(backlog)), upTo(100).slice(1))
    assert.deepStrictEqual(asked, [FRAME_SAMPLES])
    assert.isUndefined(backlog.lost())
  })

  it("goes on where a ring's snapshot ended, when frames went by while it was read", () => {
    let heard = 100
    const backlog = FrameBacklog.make((from) => frames(from / FRAME_SAMPLES, heard - from / FRAME_SAMPLES))
    for (const frame of frames(0, 100)) backlog.add(frame)
    const sent = [...backlog.take(10)]
    for (const frame of frames(100, 60)) backlog.add(frame)
    heard = 160
    sent.push(...drain(backlog))
    assert.deepStrictEqual(positions(sent), upTo(160))
  })

  it("sends every sample once when a replay is cut into other frames than the live ones", () => {
    const offset = 700
    const backlog = FrameBacklog.make(() =>
      Array.from({ length: 60 }, (_, index) => frameAt(index * FRAME_SAMPLES + offset))
    )
    for (const frame of frames(0, 40)) backlog.add(frame)
    const sent = samples(drain(backlog))
    assert.deepStrictEqual(
      sent,
      Array.from({ length: 40 * FRAME_SAMPLES - offset }, (_, index) => index + offset)
    )
  })

  it("does not send live frames that a replay already contained", () => {
    const backlog = FrameBacklog.make(() => frames(0, 42))
    for (const frame of frames(0, 40)) backlog.add(frame)
    drain(backlog)
    // the ring was ahead of the queue
    assert.strictEqual(backlog.pass(frameAt(39 * FRAME_SAMPLES)), undefined)
    assert.strictEqual(backlog.pass(frameAt(40 * FRAME_SAMPLES))?.position, 40 * FRAME_SAMPLES)
  })

  it("leaves a frame whole that begins within the padding of the one before", () => {
    const backlog = FrameBacklog.make(() => [])
    backlog.pass(frameAt(0, true))
    assert.strictEqual(backlog.pass(frameAt(500))?.pcm.length, FRAME_SAMPLES)
  })

  describe("where speech begins within padding", () => {
    const [padded, next] = [frameAt(0, true), frameAt(1)]
    const wholeNext = Array.from({ length: FRAME_SAMPLES }, (_, index) => 1 + index)
    const ring = (from: number) => [padded, next].filter((frame) => frame.position + FRAME_SAMPLES > from)

    it("leaves it whole, though the padding was proven before it came", () => {
      const backlog = FrameBacklog.make(() => [])
      backlog.pass(padded)
      backlog.prove(FRAME_SAMPLES)
      assert.deepStrictEqual(samples([backlog.pass(next) ?? assert.fail("it was not sent")]), wholeNext)
    })

    it("leaves it whole when an engine tells a little more than it was sent", () => {
      const backlog = FrameBacklog.make(() => [])
      backlog.pass(padded)
      backlog.prove(FRAME_SAMPLES + 32)
      assert.deepStrictEqual(samples([backlog.pass(next) ?? assert.fail("it was not sent")]), wholeNext)
    })

    it("leaves it whole for the next session, and for a second one", () => {
      const backlog = FrameBacklog.make(() => [])
      backlog.pass(padded)
      backlog.prove(FRAME_SAMPLES)
      backlog.rewind()
      backlog.add(next)
      assert.deepStrictEqual(samples(drain(backlog.fork())), wholeNext)
      assert.deepStrictEqual(samples(drain(backlog)), wholeNext)
    })

    it("sends it again whole when only the padding was proven, before or after it was sent", () => {
      for (const isProvenBefore of [true, false]) {
        const backlog = FrameBacklog.make(ring)
        backlog.pass(padded)
        if (isProvenBefore) backlog.prove(FRAME_SAMPLES)
        backlog.pass(next)
        if (!isProvenBefore) backlog.prove(FRAME_SAMPLES)
        backlog.rewind()
        assert.deepStrictEqual(samples(drain(backlog)).slice(-FRAME_SAMPLES), wholeNext)
        assert.isUndefined(backlog.lost())
      }
    })

    it("does not send it again once it is proven itself", () => {
      const backlog = FrameBacklog.make(() => assert.fail("the ring was read"))
      backlog.pass(padded)
      backlog.pass(next)
      backlog.prove(FRAME_SAMPLES + 1)
      backlog.rewind()
      assert.isTrue(backlog.isEmpty())
    })
  })

  it("counts what the ring had lost", () => {
    const backlog = FrameBacklog.make(() => frames(30, 70))
    for (const frame of frames(0, 100)) backlog.add(frame)
    assert.deepStrictEqual(positions(drain(backlog)), upTo(100).slice(30))
    assert.deepStrictEqual([backlog.lost(), backlog.lost()], [{ position: 0, samples: 30 * FRAME_SAMPLES }, undefined])
  })

  it("ends a replay that is under way when it is closed", () => {
    let ended = false
    const backlog = FrameBacklog.make(function* () {
      try {
        yield* frames(0, 100)
      } finally {
        ended = true
      }
    })
    for (const frame of frames(0, 100)) backlog.add(frame)
    backlog.take(4)
    assert.isFalse(ended)
    backlog.close()
    assert.isTrue(ended)
  })

  it("does not hang on a ring that gives nothing, or always the same", () => {
    for (const ring of [[], frames(0, 3)]) {
      const backlog = FrameBacklog.make(() => ring)
      for (const frame of frames(0, 100)) backlog.add(frame)
      assert.strictEqual(positions(drain(backlog)).length, 25 + ring.length)
      assert.strictEqual(backlog.lost()?.samples, (75 - ring.length) * FRAME_SAMPLES)
    }
  })

  const spoken = (count: number) => (from: number) =>
    frames(0, count).filter((frame) => frame.position + FRAME_SAMPLES > from)

  it("sends again what was not proven, from exactly the mark on", () => {
    const backlog = FrameBacklog.make(spoken(50))
    for (const frame of frames(0, 20)) backlog.pass(frame)
    const mark = 7 * FRAME_SAMPLES + 300
    backlog.prove(mark)
    assert.strictEqual(backlog.unproven(), 13 * FRAME_SAMPLES)
    backlog.rewind()
    assert.isFalse(backlog.isEmpty())
    for (const frame of frames(20, 30)) backlog.add(frame)
    assert.deepStrictEqual(
      samples(drain(backlog)),
      Array.from({ length: 50 * FRAME_SAMPLES - mark }, (_, index) => mark + index)
    )
    assert.isUndefined(backlog.lost())
  })

  it("has nothing to send again when everything was proven", () => {
    const backlog = FrameBacklog.make(() => assert.fail("the ring was read"))
    for (const frame of frames(0, 20)) backlog.pass(frame)
    backlog.prove(20 * FRAME_SAMPLES)
    backlog.rewind()
    assert.isTrue(backlog.isEmpty())
  })

  it("sends again across silence, and a second time after a second loss", () => {
    const heard = [...frames(0, 10), frameAt(10 * FRAME_SAMPLES, true), ...frames(100, 10)]
    const backlog = FrameBacklog.make((from) => heard.filter((frame) => frame.position + FRAME_SAMPLES > from))
    for (const frame of heard) backlog.pass(frame)
    backlog.prove(5 * FRAME_SAMPLES)
    backlog.rewind()
    const first = positions(backlog.take(8))
    backlog.rewind()
    assert.deepStrictEqual(first, positions(heard).slice(5, 13))
    assert.deepStrictEqual(positions(drain(backlog)), positions(heard).slice(5))
    assert.isUndefined(backlog.lost())
  })

  it("tells how much the ring had lost of what has to be sent again, and where", () => {
    const backlog = FrameBacklog.make(() => frames(12, 8))
    for (const frame of frames(0, 20)) backlog.pass(frame)
    backlog.prove(4 * FRAME_SAMPLES)
    backlog.rewind()
    assert.deepStrictEqual(positions(drain(backlog)), upTo(20).slice(12))
    assert.deepStrictEqual(backlog.lost(), { position: 4 * FRAME_SAMPLES, samples: 8 * FRAME_SAMPLES })
  })

  it("is forked for a second session without being touched", () => {
    const backlog = FrameBacklog.make(spoken(30))
    for (const frame of frames(0, 20)) backlog.pass(frame)
    backlog.prove(10 * FRAME_SAMPLES)
    const other = backlog.fork()
    assert.deepStrictEqual(positions(drain(other)), upTo(20).slice(10))
    assert.isTrue(backlog.isEmpty())
    assert.strictEqual(backlog.pass(frameAt(20 * FRAME_SAMPLES))?.position, 20 * FRAME_SAMPLES)
    assert.strictEqual(other.pass(frameAt(20 * FRAME_SAMPLES))?.position, 20 * FRAME_SAMPLES)
  })
})
