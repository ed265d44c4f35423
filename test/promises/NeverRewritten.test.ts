/**
 * Promise 2: committed text is never rewritten on a screen; every caption that was shown has exactly one final.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { isolated } from "../support/CaptionScene.ts"
import * as CaptionStory from "../support/CaptionStory.ts"

const seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
const words = (text: string) => text.split(" ").filter((word) => word !== "")

const play = Effect.fnUntraced(
  function* (options: CaptionStory.StoryOptions) {
    const { leaver, readers, scene } = yield* CaptionStory.play(options)
    return readers.map((reader) => ({ ...scene.page(reader), leaver }))
  },
  Effect.scoped,
  isolated
)

describe("what was committed stays on the screen as it is", () => {
  it.effect.prop(
    "nothing is rewritten where the engine never changes its mind",
    { seed },
    ({ seed }) =>
      Effect.gen(function* () {
        for (const page of yield* play({ seed, revisions: false, breaks: "none" })) {
          assert.deepStrictEqual(page.rewritings(), [])
        }
      }),
    { arbitrary: { runs: 60, seed: 5 } }
  )

  it.effect.prop(
    "only guesses are replaced, and by words in the same place",
    { seed },
    ({ seed }) =>
      Effect.gen(function* () {
        for (const page of yield* play({ seed, revisions: true, breaks: "none" })) {
          for (const { after, before } of page.rewritings()) {
            const now = words(after)
            for (const [i, word] of words(before).entries()) {
              if (!word.endsWith("~")) assert.strictEqual(now[i], word, `${before} -> ${after}`)
            }
          }
        }
      }),
    { arbitrary: { runs: 60, seed: 6 } }
  )

  it.effect.prop(
    "each caption that was shown gets one final, with nothing empty and nothing behind it",
    { seed },
    ({ seed }) =>
      Effect.gen(function* () {
        for (const page of yield* play({ seed, revisions: true, breaks: "none" })) {
          let open: string | undefined
          for (const { transcript } of page.received()) {
            assert.strictEqual(transcript.message, transcript.message.trim())
            assert.notStrictEqual(transcript.message, "")
            // nobody can finish what stands open of whoever leaves
            if (open !== undefined && open !== page.leaver) assert.strictEqual(transcript.speakerSessionId, open)
            open = transcript.final ? undefined : transcript.speakerSessionId
          }
          assert.isUndefined(open)
        }
      }),
    { arbitrary: { runs: 60, seed: 7 } }
  )
})
