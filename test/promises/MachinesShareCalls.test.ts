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
        const { query, url } = yield* postgres
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
          return { service, runnerPort, ...SharedCalls.client(`http://127.0.0.1:${port}`) }
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
        yield* SharedCalls.untilAlone(talk, rooms)
        /** Calls that a machine runs, as the database has it. */
        const runBy = ({ runnerPort }: typeof one) =>
          Effect.map(query(`SELECT count(*) FROM call_seats WHERE address LIKE '%:${runnerPort}'`), Number)
        const [first, second] = [yield* runBy(one), yield* runBy(other)]
        assert.strictEqual(first + second, rooms.length)
        assert.isAbove(first, 0)
        assert.isAbove(second, 0)

        one.service.child.kill("SIGKILL")
        // Lease, look, and a second: calm, 12 s.
        yield* SharedCalls.within(
          60,
          Effect.map(runBy(other), (count) => count === rooms.length)
        )
        yield* SharedCalls.within(60, isCaptioned(other))
        assert.isTrue(yield* Effect.map(other.unwant("room0"), (answer) => !answer.includes("error")))
      }),
    patience
  )
})
