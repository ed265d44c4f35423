/**
 * Conversation: everybody talks, in sentences of a few words with pauses between them, over each other too; the same words in the same
 * sentences from the same seed.
 */
import { Effect } from "effect"
import type * as Dice from "../Dice.ts"
import type { Mouth } from "./Stage.ts"

const WORDS = [2, 9] as const
const PAUSE_MS = [300, 2500] as const

/** Everybody says sentences until it `isOver`; done when the last of them was said. */
export const hold = (mouths: ReadonlyArray<Mouth>, dice: Dice.Dice, isOver: () => boolean): Effect.Effect<void> =>
  Effect.forEach(
    mouths,
    (mouth) => {
      const own = dice.fork(mouth.voice)
      return Effect.suspend(() => mouth.say(own.between(...WORDS))).pipe(
        Effect.ignore,
        Effect.andThen(Effect.suspend(() => Effect.sleep(own.between(...PAUSE_MS)))),
        Effect.repeat({ until: isOver })
      )
    },
    { concurrency: "unbounded", discard: true }
  )
