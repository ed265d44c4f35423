/** A voice on the test clock: speaks frames of 80 ms, remembers them as its ring does, and collects what the Transcriber makes of it. */
import { assert } from "@effect/vitest"
import { type Cause, Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_MS, FRAME_SAMPLES, samplesOfMs } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { isFinal, type Segment, textOf } from "../../src/domain/Segment.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import { Transcriber, type Voice } from "../../src/services/Transcriber.ts"

export interface Options {
  /** Frames the ring holds; absent: all. */
  readonly ringFrames?: number
  /** Frames the live queue holds; absent: 62, which is 5 s. */
  readonly queueFrames?: number
  /** The engine this voice asks for, and what it says of itself. */
  readonly engine?: string
  readonly utterances?: boolean
}

export const make = Effect.fnUntraced(function* (options: Options = {}) {
  const now = yield* monotonicMs
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(options.queueFrames ?? 62)
  const ring: Array<AudioFrame> = []
  const replayed: Array<number> = []
  let position = 0
  const voice: Voice = {
    id: "v",
    frames: Stream.fromQueue(queue),
    replay: function* (from) {
      replayed.push(from)
      // as a ring does: what comes while it is read is read too, and what it forgets meanwhile moves nothing
      let next = from
      for (;;) {
        const frame = ring.find((one) => one.position + FRAME_SAMPLES > next)
        if (frame === undefined) return
        next = frame.position + FRAME_SAMPLES
        yield frame
      }
    },
    language: () => defaultLanguage,
    engine: () => options.engine,
    utterances: options.utterances === true
  }
  const push = (endsSpeech: boolean) => {
    const frame = { position, pcm: new Float32Array(FRAME_SAMPLES).fill(0.1), heardAtMs: now(), endsSpeech }
    position += FRAME_SAMPLES
    ring.push(frame)
    if (ring.length > (options.ringFrames ?? Number.POSITIVE_INFINITY)) ring.shift()
    Queue.offerUnsafe(queue, frame)
  }
  /** Speaks for so many frames of real time; without `ends` the speaker is still speaking afterwards. */
  const speak = Effect.fnUntraced(function* (frames: number, ends: "ends" | "goes on" = "ends") {
    for (let index = 1; index <= frames; index++) {
      yield* TestClock.adjust(FRAME_MS)
      push(ends === "ends" && index === frames)
    }
    yield* TestClock.adjust(0)
  })
  /** So many frames that come at once, having been held up on their way. */
  const burst = (frames: number) =>
    Effect.suspend(() => {
      for (let index = 0; index < frames; index++) push(false)
      return TestClock.adjust(0)
    })
  const silence = (ms: number) =>
    Effect.suspend(() => {
      position += samplesOfMs(ms)
      return TestClock.adjust(ms)
    })

  const states: Array<Segment> = []
  const transcriber = yield* Transcriber
  const settled: Array<string> = []
  const interruptions: Array<{ readonly position: number; readonly samples: number }> = []
  const reading = yield* transcriber.transcribe(voice).pipe(
    Stream.runForEach((one) =>
      Effect.sync(() => {
        if (one._tag === "Segment") return note(states, one.segment)
        if (one._tag === "Interrupted") return interruptions.push(one)
        settled.push(`${one.position / FRAME_SAMPLES} frames behind ${states.filter(isFinal).length} finals`)
      })
    ),
    Effect.forkScoped
  )
  yield* TestClock.adjust(0)
  return {
    voice,
    speak,
    burst,
    silence,
    /** The voice ends. */
    leave: Effect.andThen(Queue.end(queue), TestClock.adjust(0)),
    /** Waits for the end of the segments. */
    done: Fiber.join(reading),
    isDone: () => reading.pollUnsafe() !== undefined,
    states,
    /** What was told of how far all is said. */
    settled,
    /** Audio that was given up. */
    interruptions,
    finals: () => states.filter(isFinal).map((state) => `${textOf(state)} (${state.final})`),
    /** The text of the open segment. */
    now: () => {
      const last = states.at(-1)
      return last === undefined || isFinal(last) ? "" : textOf(last)
    },
    /** Positions of all frames spoken, as frame numbers of the ring. */
    spoken: () => ring.map((frame) => frame.position),
    /** Where replays began. */
    replayed
  }
})

/** Adds a state, held to promise 2: committed text is never rewritten, revisions grow, one final per segment. */
const note = (states: Array<Segment>, state: Segment): void => {
  const before = states.findLast((one) => one.id === state.id)
  if (before !== undefined) {
    assert.isFalse(isFinal(before), "nothing comes after the final")
    assert.isAbove(state.revision, before.revision)
    assert.isTrue(state.committed.startsWith(before.committed), "committed text was rewritten")
  } else {
    const last = states.at(-1)
    assert.isTrue(last === undefined || isFinal(last), "a segment began before the one before it had its final")
  }
  states.push(state)
}
