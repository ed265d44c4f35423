/**
 * Engines that fail while people talk, with a second one behind the first; and the service itself, which is ended and killed. Every word that
 * somebody could hear is read once. `npm run chaos` does this at random and for as long as one likes.
 */
import { Effect } from "effect"
import { type Fault, kindOf } from "../../tools/chaos/real/Faults.ts"
import * as Rig from "../../tools/chaos/real/Rig.ts"
import * as Run from "../../tools/chaos/real/Run.ts"
import * as Table from "../../tools/chaos/real/Table.ts"
import type { Scenario } from "./Scenario.ts"

type Planned = Pick<Fault, "kind" | "atMs"> & Partial<Pick<Fault, "forMs">>

const scenario = (name: string, about: string, faults: ReadonlyArray<Planned>): Scenario => ({
  name,
  about,
  generation: "2",
  when: "always",
  run: ({ bench }) =>
    Effect.gen(function* () {
      const stage = yield* Rig.make(bench, { name, voices: ["ann", "bob"] })
      const schedule = faults.map((fault, i): Fault => {
        const number = i + 1
        return { forMs: 0, ...fault, number, engine: "primary", voice: 0 }
      })
      const { reckoning } = yield* Run.play(stage, { seed: 1, minutes: 0.3, schedule, say: () => undefined })
      const { delivered, spoken, unheard } = reckoning.sums
      const again = reckoning.faults.map(({ happened: { fault }, recoveryMs = Number.NaN }): [string, number] => [
        `${fault.kind} #${fault.number} again after s`,
        recoveryMs / 1000
      ])
      return {
        faults: Table.broken(reckoning),
        figures: { words: spoken, read: delivered, "nobody could hear": unheard, ...Object.fromEntries(again) }
      }
    })
})

const afterAnother = (...names: ReadonlyArray<Fault["kind"]>): ReadonlyArray<Planned> =>
  names.map((kind, i) => ({ kind, atMs: 4000 + i * 10_000, forMs: kindOf(kind).lastsMs[0] }))

export const engineFaults: ReadonlyArray<Scenario> = [
  scenario(
    "engine-dies",
    "the first engine is killed, reset and closed: the second captions, until the first is back",
    afterAnother("engine-kill", "engine-cut", "engine-close")
  ),
  scenario(
    "engine-says-nothing",
    "sessions stall, connections are dead, the engine stands still: another session takes over",
    afterAnother("session-stall", "engine-half-open", "engine-stop")
  ),
  scenario("no-engine", "both engines refuse for a while: what was said meanwhile is read when one is back", [
    { kind: "engines-out", atMs: 4000, forMs: 5000 }
  ]),
  scenario("service-restarted", "the service is told to end, and killed; nobody asks for captions again", [
    { kind: "service-term", atMs: 5000, forMs: 500 },
    { kind: "service-kill", atMs: 22_000, forMs: 500 }
  ])
]
