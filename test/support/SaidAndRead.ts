/**
 * People in a call of simulated Talk, each of whom says other words than anybody before, and what somebody reads of them.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { SimulatedSpeaker } from "../../src/layers/SimulatedSpeaker.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import type * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import * as SharedCalls from "./SharedCalls.ts"

export interface SaidAndReadOptions {
  readonly talk: TalkSimulator.Simulation
  readonly room: string
  /** Voices that are heard of the call, where it is the only one. */
  readonly heard: Effect.Effect<number>
}

/** Of each, where everybody speaks. */
export const WORDS_AT_ONCE = 3

/** Somebody is there who reads. */
export const make = Effect.fnUntraced(function* ({ heard, room, talk }: SaidAndReadOptions) {
  const viewer = yield* talk.addViewer({ name: "Vera", room })
  const everybody: Array<SimulatedSpeaker> = []
  const said: Array<{ readonly speaker: SimulatedSpeaker; readonly words: ReadonlyArray<string> }> = []
  const allHeard = SharedCalls.within(
    60,
    Effect.map(heard, (count) => count === everybody.length)
  )
  const comes = (names: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      for (const name of names) everybody.push(yield* talk.addSpeaker({ name, room }))
      yield* allHeard
    })
  const say = (speaker: SimulatedSpeaker, count: number) => {
    const first = 7 * said.flatMap(({ words }) => words).length
    const numbers = Array.from({ length: count }, (_, n) => first + n * 7)
    const words = numbers.map(ToneWords.wordText)
    said.push({ speaker, words })
    const pcm = ToneModem.speak(numbers, { speaker: everybody.indexOf(speaker), sampleRate: ENCODER_RATE }).pcm
    return { words, speaking: speaker.say(pcm) }
  }
  const finals = (isMeant: (speaker: string) => boolean) =>
    viewer
      .captions()
      .filter(({ final, speakerSessionId }) => final && isMeant(speakerSessionId))
      .flatMap(({ message }) => message.toLowerCase().match(/[a-z]+/g) ?? [])
  const readOf = (speaker: SimulatedSpeaker, words: ReadonlyArray<string>) =>
    finals((one) => one === speaker.sessionId()).filter((word) => words.includes(word))
  const isRead = (speaker: SimulatedSpeaker, words: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      yield* SharedCalls.within(
        60,
        Effect.sync(() => readOf(speaker, words).length >= words.length)
      )
      assert.deepStrictEqual(readOf(speaker, words), words)
    })
  return {
    everybody,
    comes,
    allHeard,
    /** `speaking` says the words. */
    say,
    /** In finals that name this speaker; in their order. */
    readOf,
    /** Waits until all are; each is once, in order. */
    isRead,
    /** Everybody speaks at the same time; returns when they are read. */
    sayAll: Effect.suspend(() =>
      Effect.forEach(
        everybody.map((speaker) => ({ speaker, ...say(speaker, WORDS_AT_ONCE) })),
        ({ speaker, speaking, words }) => Effect.andThen(speaking, isRead(speaker, words)),
        { concurrency: "unbounded", discard: true }
      )
    ),
    /** Whatever was said until now was read once, in order and of whom said it, and nothing else was. */
    assertAllOnce: () => {
      for (const speaker of everybody)
        assert.deepStrictEqual(
          finals((one) => one === speaker.sessionId()),
          said.flatMap(({ speaker: one, words }) => (one === speaker ? words : []))
        )
      assert.strictEqual(finals(() => true).length, said.flatMap(({ words }) => words).length)
    },
    /** Sessions that have captioned. */
    senders: () => [...new Set(viewer.captions().map(({ from }) => from))]
  }
})
