import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SpeechClock from "../../src/layers/SpeechClock.ts"
import { PACKET_MS } from "../../src/layers/SpeechEncoder.ts"
import { until } from "../support/Until.ts"

describe("SpeechClock", () => {
  it.live("makes up for ticks that came late, each as of its own moment", () =>
    Effect.gen(function* () {
      const clock = yield* SpeechClock.make
      const dueMs: Array<number> = []
      clock.onTick((ms) => dueMs.push(ms))
      const endMs = SpeechClock.epochMs() + 300
      while (SpeechClock.epochMs() < endMs);
      yield* until(() => (dueMs.at(-1) ?? 0) > endMs)
      assert.isTrue(dueMs.every((ms, n) => n === 0 || Math.abs(ms - (dueMs[n - 1] ?? 0) - PACKET_MS) < 1e-3))
    })
  )

  it.live("lets everything else have its turn on a machine that is too slow for it", () =>
    Effect.gen(function* () {
      const clock = yield* SpeechClock.make
      let ticks = 0
      let turns = 0
      const timer = setInterval(() => turns++, 1)
      clock.onTick(() => {
        if (++ticks > 60) return
        const endMs = SpeechClock.epochMs() + 1.5 * PACKET_MS
        while (SpeechClock.epochMs() < endMs);
      })
      let between = 0
      yield* until(() => {
        if (ticks < 60) between = turns
        return ticks >= 60
      })
      clearInterval(timer)
      assert.isAtLeast(between, 2)
    })
  )
})
