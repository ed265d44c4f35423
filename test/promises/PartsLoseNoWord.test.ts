/**
 * Promise: a call that is too large for one runner is heard in parts and read as any other: every word once, of whom said it, in order; whichever
 * part or lead dies, what it left is said, and whom it heard is heard elsewhere; whichever is told to end, not a word is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type PartFault, partFaults, play } from "../support/PartsOfCall.ts"

/** ms; on a busy machine several times what it takes. */
const PATIENCE = 300_000
/** Whoever ends loses no word; whoever dies, only what nobody else heard. */
const isDeath = (fault: PartFault) => fault.includes("die")
/** ms of sound that nobody hears when a part dies. */
const HEARD_AGAIN_MS = 3_000

const few = { voices: 6, most: 2, soundMs: 9_000, withinMs: 2_000 }
const storyOf = (outcome: Effect.Success<ReturnType<typeof play>>) =>
  [`seed ${outcome.seed}`, ...outcome.complaints, ...outcome.story].join("\n")

describe("a call that is heard in parts is read word by word", () => {
  it.live(
    "by a lead and two others",
    () =>
      Effect.gen(function* () {
        const outcome = yield* play(0, few)
        assert.deepStrictEqual(outcome.complaints, [], storyOf(outcome))
        assert.strictEqual(outcome.parts, 2)
        assert.strictEqual(outcome.speakers, 6)
        assert.strictEqual(outcome.excused, 0)
      }),
    PATIENCE
  )
  for (const fault of partFaults)
    it.live(
      `when ${fault}`,
      () =>
        Effect.gen(function* () {
          const faults: ReadonlyArray<PartFault> = [fault, fault]
          const outcomes = yield* Effect.forEach([1, 2, 3], (seed) => play(seed, { ...few, faults }))
          for (const outcome of outcomes) {
            assert.deepStrictEqual(outcome.complaints, [], storyOf(outcome))
            assert.isAtMost(outcome.deafMs, HEARD_AGAIN_MS)
            if (isDeath(fault)) assert.isBelow(outcome.excused, outcome.words / 3, "too much is excused")
            else assert.strictEqual(outcome.excused, 0, storyOf(outcome))
          }
        }),
      PATIENCE
    )
})

describe("two hundred people who are heard in parts", () => {
  it.live(
    "are read word by word",
    () =>
      Effect.gen(function* () {
        const outcome = yield* play(7, { voices: 200, most: 70, soundMs: 700, withinMs: 1_500 })
        assert.deepStrictEqual(outcome.complaints, [], outcome.story.slice(0, 40).join("\n"))
        assert.strictEqual(outcome.parts, 2)
        assert.strictEqual(outcome.speakers, 200)
        assert.strictEqual(outcome.excused, 0)
      }),
    PATIENCE
  )
})
