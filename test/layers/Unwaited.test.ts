import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import * as Database from "../../src/layers/Database.ts"
import { unwaited } from "../../src/layers/Unwaited.ts"
import { postgres } from "../support/Postgres.ts"

describe("a question that is not waited for", () => {
  it.effect("is left behind at once, also where it takes no note of that, and is told so", () =>
    Effect.gen(function* () {
      let isTold = false
      const question = Effect.never.pipe(
        Effect.onInterrupt(() =>
          Effect.andThen(
            Effect.sync(() => {
              isTold = true
            }),
            Effect.never
          )
        )
      )
      const asked = yield* Effect.forkChild(Effect.timeoutOption(unwaited(question), "700 millis"))
      yield* TestClock.adjust("600 millis")
      assert.isFalse(isTold)
      yield* TestClock.adjust("100 millis")
      assert.isTrue(Option.isNone(yield* Fiber.join(asked)))
      assert.isTrue(isTold)
    })
  )

  it.effect("is answered as it is", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* unwaited(Effect.succeed("yes")), "yes")
      assert.strictEqual(yield* Effect.flip(unwaited(Effect.fail("no"))), "no")
    })
  )

  it.live("does not wait for a server that is frozen as others do: until it has given up the connection", () =>
    Effect.gen(function* () {
      const server = yield* postgres
      const { open, sql } = yield* Database.make({ _tag: "Server", url: server.url })
      yield* open
      yield* server.freeze
      const question = sql`SELECT 1`
      const ended: Array<string> = []
      const ask = (how: string, asked: Effect.Effect<unknown, unknown>) =>
        Effect.timeoutOption(asked, "200 millis").pipe(Effect.exit, Effect.andThen(Effect.sync(() => ended.push(how))))
      yield* Effect.all([ask("waited", question), ask("unwaited", unwaited(question))], { concurrency: "unbounded" })
      assert.deepStrictEqual(ended, ["unwaited", "waited"])
    })
  )
})
