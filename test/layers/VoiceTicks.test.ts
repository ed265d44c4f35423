import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { LanguageId } from "../../src/domain/Language.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as Voice from "../../src/layers/Voice.ts"
import * as VoiceAccount from "../../src/layers/VoiceAccount.ts"
import * as VoiceTicks from "../../src/layers/VoiceTicks.ts"
import { Decoder } from "../../src/services/Decoder.ts"

/** A voice for whom the time counts until it is told otherwise, and what it does with it. */
const voiceOf = Effect.fnUntraced(function* (id: string, tick: (atMs: number) => void) {
  const decoder = yield* Decoder
  let isWaiting = true
  const voice = yield* Voice.make({
    id,
    language: () => LanguageId.make("en"),
    now: () => 0,
    decoder: {
      ...decoder,
      make: (onAudio) => ({
        ...decoder.make(onAudio),
        isWaiting: () => isWaiting,
        tick: (atMs) => {
          if (isWaiting) tick(atMs)
        }
      })
    }
  })
  const shed = () => 0
  const one: VoiceAccount.CountedVoice = {
    voice,
    shed,
    reported: VoiceAccount.reportOf(voice, 0),
    wasSpeaking: false,
    unansweredSinceMs: undefined
  }
  const rest = () => {
    isWaiting = false
  }
  yield* Effect.addFinalizer(() => Effect.sync(rest))
  return { one, rest }
})

describe("VoiceTicks", () => {
  it.effect("gives the time to those for whom it counts", () =>
    Effect.gen(function* () {
      const ticks = yield* VoiceTicks.make
      const seen: Array<string> = []
      const [a, b] = [
        yield* voiceOf("a", (atMs) => seen.push(`a ${atMs}`)),
        yield* voiceOf("b", (atMs) => seen.push(`b ${atMs}`))
      ]
      ticks.heard(a.one)
      ticks.heard(a.one)
      yield* TestClock.adjust(20)
      ticks.heard(b.one)
      yield* TestClock.adjust(20)
      a.rest()
      yield* TestClock.adjust(20)
      ticks.forget(b.one)
      yield* TestClock.adjust(40)
      assert.deepStrictEqual(seen, ["a 20", "a 40", "b 40", "b 60"])
    }).pipe(Effect.scoped, Effect.provide(OpusDecoder.layer))
  )

  it.effect("gives it to the others of the call when the tick of one has a bug", () =>
    Effect.gen(function* () {
      const ticks = yield* VoiceTicks.make
      const seen: Array<number> = []
      const broken = yield* voiceOf("broken", () => {
        throw new Error("a bug")
      })
      const other = yield* voiceOf("other", (atMs) => seen.push(atMs))
      ticks.heard(broken.one)
      ticks.heard(other.one)
      yield* TestClock.adjust(60)
      assert.deepStrictEqual(seen, [20, 40, 60])
    }).pipe(Effect.scoped, Effect.provide(OpusDecoder.layer))
  )
})
