/**
 * Promise 3, for calls: whatever happens to the HPB, to Janus, to microphones, to people, pages and engines, every word that came to us whole
 * is read once, in order, under the right name, by everybody who was there. Judged on the pages of the readers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChaosCall from "../support/ChaosCall.ts"

const CALLS = 120
const GROUP = 30
/** ms; a call takes 150, on a busy machine several times that. */
const PATIENCE = 300_000

describe("no word is lost in a call", () => {
  const happened = new Map<ChaosCall.CallFault, number>()
  for (let first = 0; first < CALLS; first += GROUP)
    it.live(
      `in the calls ${first} to ${first + GROUP - 1}`,
      () =>
        Effect.gen(function* () {
          for (let seed = first; seed < first + GROUP; seed++) {
            const { complaints, faults, story, unheard, words } = yield* ChaosCall.play(seed)
            assert.deepStrictEqual(complaints, [], `call ${seed}\n${story.join("\n")}`)
            assert.isBelow(unheard, words, `call ${seed}: nobody was heard`)
            for (const fault of faults) happened.set(fault, (happened.get(fault) ?? 0) + 1)
          }
        }),
      PATIENCE
    )

  it("has every kind of fault in it many times", () => {
    for (const fault of ChaosCall.callFaults) assert.isAbove(happened.get(fault) ?? 0, 10, fault)
  })
})
