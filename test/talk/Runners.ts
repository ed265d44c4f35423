/**
 * A call that goes from runner to runner on the real stack: two sessions of ours in one room at a time, of which one captions.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import * as Processes from "./Processes.ts"
import { saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import { INTERNAL_SECRET } from "./Stack.ts"

const WORDS = 8
const TIMES = 5

const handedOver = (name: string, about: string, generation: Scenario["generation"]): Scenario => ({
  name,
  about,
  generation,
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { engine, stack } = scene
      const vera = yield* scene.viewer("vera")
      const vic = yield* scene.viewer("vic")
      const [ann, bob] = [yield* scene.speaker("ann", 0), yield* scene.speaker("bob", 1)]
      const { hpbUrl, namespace, nextcloudUrl, thisSide } = stack.service
      const readers = JSON.stringify([vera.ncSession, vic.ncSession])
      const runners = yield* Processes.daemon({
        name: "runners",
        command: process.execPath,
        args: [
          fileURLToPath(new URL("runRunners.ts", import.meta.url)),
          ...[hpbUrl, INTERNAL_SECRET, nextcloudUrl, engine.url(thisSide), Scene.ROOM, readers]
        ],
        logFile: join(stack.folder, "runners.log"),
        ...(namespace === undefined ? {} : { namespace })
      })
      yield* Processes.says(runners, "room joined")
      yield* Effect.sleep("2 seconds")
      const talk = (speaker: typeof ann) =>
        Effect.repeat(Effect.andThen(speaker.say(WORDS), Effect.sleep("1200 millis")), { times: TIMES - 1 })
      yield* Effect.all([talk(ann), Effect.delay(talk(bob), "500 millis")], { concurrency: "unbounded" })
      const verdicts = [
        yield* settle(stack.ledger, vera, () => saidSince(stack.ledger, 0)),
        yield* settle(stack.ledger, vic, () => saidSince(stack.ledger, 0))
      ]
      const moved = runners.log().split("moved from").length - 1
      return { verdicts, figures: { "hand-overs": moved }, ...(moved < 3 ? { faults: ["the call did not move"] } : {}) }
    })
})

export const runners: ReadonlyArray<Scenario> = [
  handedOver("handed-over", "the call goes from runner to runner while two people speak", "2"),
  handedOver("handed-over-1.2", "the same on an HPB that refuses messages without a room type", "1.2")
]
