/**
 * Two machines share calls through PostgreSQL: a click arrives at either, and when one machine dies the other one runs all.
 */
import { hostname } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import { postgres } from "../support/Postgres.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import * as SharedCalls from "../support/SharedCalls.ts"

/** ms; real processes. */
const patience = 240_000
const rooms = Array.from({ length: 6 }, (_, n) => `room${n}`)

describe("two machines", () => {
  it.live(
    "share their calls; what one that dies ran the other one runs within the lease",
    () =>
      Effect.gen(function* () {
        const { url } = yield* postgres
        const talk = yield* TalkSimulator.make()
        const engine = yield* KyutaiSimulator.make()
        const boot = Effect.gen(function* () {
          const [port, runnerPort] = [String(yield* freePort), String(yield* freePort)]
          const service = yield* start({
            PORT: port,
            LT_HPB_URL: talk.url,
            LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
            STT_STREAM_URL: engine.url,
            LT_DATABASE_URL: Redacted.value(url),
            // Not an address of which this system could say that nobody listens there.
            LT_RUNNER_ADDRESS: `${hostname()}:${runnerPort}`
          })
          yield* service.says(`:${port}"`)
          return { service, ...SharedCalls.client(`http://127.0.0.1:${port}`) }
        })
        const machines = yield* Effect.all([boot, boot])
        const [one, other] = machines
        yield* Effect.forEach(rooms, (room) => talk.addViewer({ name: `Vera ${room}`, room }))
        // They know of each other after a second.
        yield* Effect.sleep("2 seconds")
        yield* Effect.forEach(rooms, (room, n) => machines[n % 2]?.want(room) ?? Effect.void)
        const isCaptioned = ({ status }: typeof one) =>
          Effect.map(
            status,
            ({ calls }) => calls.length === rooms.length && calls.every(({ state }) => state === "Captioning")
          )
        yield* SharedCalls.within(60, isCaptioned(one))
        yield* SharedCalls.within(60, isCaptioned(other))
        const joined = (output: string) => output.split('"room joined"').length - 1
        assert.strictEqual(joined(one.service.output()) + joined(other.service.output()), rooms.length)
        const before = joined(other.service.output())
        assert.isAbove(before, 0)
        assert.isAbove(joined(one.service.output()), 0)

        one.service.child.kill("SIGKILL")
        const tookMs = yield* SharedCalls.within(
          60,
          Effect.sync(() => joined(other.service.output()) === rooms.length)
        )
        // Lease, look, and a second.
        assert.isBelow(tookMs, 15_000)
        yield* SharedCalls.within(60, isCaptioned(other))
        assert.isTrue(yield* Effect.map(other.unwant("room0"), (answer) => !answer.includes("error")))
      }),
    patience
  )
})
