/**
 * Promise 1: every word an engine gives us is read by every viewer who asked, once, in order, with the right speaker.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { isolated } from "../support/CaptionScene.ts"
import * as CaptionStory from "../support/CaptionStory.ts"

const seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

const everyWordOnce = Effect.fnUntraced(
  function* (options: CaptionStory.StoryOptions) {
    const { leaver, readers, said, scene } = yield* CaptionStory.play(options)
    for (const reader of readers) {
      for (const [name, count] of said) {
        const expected = Array.from({ length: count }, (_, number) => number)
        assert.deepStrictEqual(CaptionStory.numbersOf(scene, reader, name), expected, `${name} read by ${reader}`)
      }
      for (const block of scene.page(reader).blocks()) {
        const strangers = block.text.split(" ").filter((word) => !/^oops/.test(word))
        const owner = block.speaker.replace(/#.*/, "")
        assert.isTrue(
          strangers.every((word) => word.startsWith(owner)),
          `${owner}: ${block.text}`
        )
      }
      assert.isFalse(scene.page(reader).isOpen())
      if (options.breaks === "rejoin") continue
      const abandoned = scene.page(reader).abandoned()
      assert.isTrue(
        abandoned.length === 0 || (leaver !== undefined && abandoned.length === 1 && abandoned[0]?.includes(leaver)),
        abandoned.join("\n")
      )
    }
  },
  Effect.scoped,
  isolated
)

describe("every word is read once, in order, with its speaker", () => {
  it.effect.prop(
    "whoever speaks, comes, goes, or changes the language",
    { seed },
    ({ seed }) => everyWordOnce({ seed, revisions: false, breaks: "none" }),
    { arbitrary: { runs: 100, seed: 1 } }
  )
  it.effect.prop(
    "when the engine changes its mind about open words",
    { seed },
    ({ seed }) => everyWordOnce({ seed, revisions: true, breaks: "none" }),
    { arbitrary: { runs: 100, seed: 2 } }
  )
  it.effect.prop(
    "when the socket breaks and is resumed",
    { seed },
    ({ seed }) => everyWordOnce({ seed, revisions: true, breaks: "resume" }),
    { arbitrary: { runs: 100, seed: 3 } }
  )
  it.effect.prop(
    "when the HPB is restarted and everybody has a new id",
    { seed },
    ({ seed }) => everyWordOnce({ seed, revisions: false, breaks: "rejoin" }),
    { arbitrary: { runs: 100, seed: 4 } }
  )
})
