/**
 * Runners with a PostgreSQL that goes away.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LanguageId } from "../../src/domain/Language.ts"
import * as CallScene from "../support/CallScene.ts"
import { postgres } from "../support/Postgres.ts"
import * as SeatedRunners from "../support/SeatedRunners.ts"
import * as Standstill from "../support/Standstill.ts"

const french = LanguageId.make("fr")

// Beside each other: most of their time nothing happens. Without a database nobody takes up what a runner did not give away in its 2.5 s: a
// machine that stands still again and again gives it less.
describe.concurrent("SeatedCalls without their database", () => {
  for (const [what, away] of [
    ["stopped", "stop"],
    ["frozen", "freeze"]
  ] as const) {
    it.live(
      `go on, take clicks on every runner, begin, and go to another runner, while it is ${what}; what was wanted meanwhile is in it afterwards`,
      () =>
        Effect.gen(function* () {
          const server = yield* postgres
          const scene = yield* SeatedRunners.make(7, { _tag: "Server", url: server.url })
          const [late, ...wishes] = scene.wishes
          assert(late !== undefined)
          const one = yield* scene.boot
          const other = yield* scene.boot
          const runners = [one, other]
          yield* Effect.forEach(wishes, (intent, n) => runners[n % 2]?.calls.start(intent) ?? Effect.void)
          yield* SeatedRunners.captioned(scene, runners, wishes)
          yield* scene.open
          yield* CallScene.until(() => Effect.map(Effect.orDie(scene.seats), (all) => all.length === wishes.length))

          yield* server[away]
          // Longer than it takes to notice, and for locks to be lost.
          yield* Effect.sleep("5 seconds")
          yield* SeatedRunners.captioned(scene, runners, wishes)
          for (const { calls } of runners) {
            for (const { room } of wishes) assert.isTrue(yield* calls.setLanguage(room, french))
          }
          // With the runner that is about to end: in the room, and not yet sure that it is the only one there.
          yield* one.calls.start(late)
          yield* SeatedRunners.captioned(scene, runners, scene.wishes)
          yield* one.end
          yield* SeatedRunners.captioned(scene, [other], scene.wishes)

          yield* away === "stop" ? server.start : server.thaw
          yield* CallScene.until(() =>
            Effect.map(
              Effect.orElseSucceed(scene.seats, () => []),
              (all) =>
                all.length === scene.wishes.length &&
                all.every(({ incarnation }) => incarnation === other.runner.incarnation)
            )
          )
          yield* SeatedRunners.captioned(scene, [other], scene.wishes)
          yield* other.end
          const next = yield* scene.boot
          yield* SeatedRunners.captioned(scene, [next], scene.wishes)
          const languages = new Map((yield* next.calls.list).map(({ language, room }) => [room, language]))
          for (const { room } of wishes) assert.strictEqual(languages.get(room), french)
        }).pipe(Effect.timeout("100 seconds"), Standstill.played),
      400_000
    )
  }
})
