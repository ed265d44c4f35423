/**
 * What drills have in common: a call in which one speaker is read by one viewer, and captions that must come again.
 */
import { Effect, type Scope } from "effect"
import { machineMs } from "./HpbClient.ts"
import { type ProofError, until } from "./ProofError.ts"
import { readsAgain, saidSince, settle } from "./Reading.ts"
import type { Outcome } from "./Report.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import type { Viewer } from "./Viewer.ts"
import type { Speaker } from "./WeriftSpeaker.ts"

export interface Drilled {
  readonly scene: Scene.Scene
  readonly vera: Viewer
  readonly ann: Speaker
}

/** One speaker whom one viewer reads; `happens` is what the drill is about. */
export const drill = (
  about: Omit<Scenario, "generation" | "when" | "run"> & Partial<Pick<Scenario, "when">>,
  happens: (drilled: Drilled) => Effect.Effect<Outcome, ProofError, Scope.Scope>,
  options: Scene.SceneOptions = {}
): Scenario => ({
  generation: "2",
  when: "always",
  ...about,
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, options)
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      yield* Effect.sleep("2 seconds")
      const started = machineMs()
      yield* ann.say(4)
      const before = yield* settle(scene.stack.ledger, vera, () => saidSince(scene.stack.ledger, started))
      if (before.lost.length > 0) return { verdicts: [before], faults: ["no captions even before the drill"] }
      // Whoever is to be gone must have been there.
      if (vera.bots().length !== 1 || scene.stack.door.open() === 0) return { faults: ["the bot is not in the room"] }
      return yield* happens({ scene, vera, ann })
    })
})

/** When the service has been in the room again, s from now. */
export const rejoined = ({ vera }: Drilled) =>
  Effect.suspend(() => {
    const started = performance.now()
    return until("the service to be back", () => vera.bots().length > 0 && (performance.now() - started) / 1000)
  })

/** Says a few words until one is read (those on the way are lost rightly), then words that must all be read. */
export const captionsAgain = ({ ann, scene, vera }: Drilled, millis = 40_000) =>
  Effect.gen(function* () {
    const { ledger } = scene.stack
    const spokenFrom = ledger.said.length
    const startedMs = machineMs()
    const chatter = Effect.andThen(ann.say(2), Effect.sleep("500 millis"))
    const again = yield* readsAgain(vera, "ann", millis).pipe(
      Effect.raceFirst(Effect.andThen(Effect.repeat(chatter, { times: 60 }), Effect.never))
    )
    yield* until("ann to finish", () => ann.quiet(), 5000)
    yield* Effect.sleep("1 second")
    const said = ledger.said.slice(spokenFrom)
    const firstRead = said.findIndex(({ word }) => vera.firstSeen.has(word))
    const heardMs = (said[firstRead]?.atMs ?? Number.POSITIVE_INFINITY) - startedMs
    const from = machineMs()
    yield* ann.say(6)
    const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from))
    // The end of the first word that was heard: from its beginning on nothing was missed.
    const figures = { "heard again after s": heardMs / 1000, "again after s": again / 1000, "words missed": firstRead }
    return { verdicts: [verdict], figures }
  })
