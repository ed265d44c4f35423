/**
 * Two machines share calls through PostgreSQL: a click arrives at either, when one machine dies the other one runs all, and a call with too many
 * voices for one of them is heard by both.
 */
import { hostname } from "node:os"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as FewVoicesOfPart from "../support/FewVoicesOfPart.ts"
import { PostgresServer } from "../support/Postgres.ts"
import * as SaidAndRead from "../support/SaidAndRead.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import * as SharedCalls from "../support/SharedCalls.ts"
import * as Standstill from "../support/Standstill.ts"

/** ms; real processes. */
const patience = 240_000
const rooms = Array.from({ length: 6 }, (_, n) => `room${n}`)

/** With an engine of its own. */
const boot = Effect.fnUntraced(function* (
  { talk, url }: { readonly talk: TalkSimulator.Simulation; readonly url: Redacted.Redacted },
  program?: string
) {
  const engine = yield* KyutaiSimulator.make()
  const [port, runnerPort] = [String(yield* freePort), String(yield* freePort)]
  const settings = {
    PORT: port,
    LT_HPB_URL: talk.url,
    LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
    STT_STREAM_URL: engine.url,
    LT_DATABASE_URL: Redacted.value(url),
    // Not an address of which this system could say that nobody listens there.
    LT_RUNNER_ADDRESS: `${hostname()}:${runnerPort}`
  }
  const service = yield* start(settings, program)
  yield* service.says(`:${port}"`)
  return { service, engine, runnerPort, ...SharedCalls.client(`http://127.0.0.1:${port}`) }
})

/** Two machines, each of which hears two of the four people of a call; the one that captions is the one that leads the runners. */
const divided = Effect.gen(function* () {
  const url = yield* (yield* PostgresServer).fresh
  const talk = yield* TalkSimulator.make()
  const lead = yield* boot({ talk, url }, FewVoicesOfPart.program)
  const room = "room0"
  let asked = lead
  const people = yield* SaidAndRead.make({
    ...{ talk, room },
    heard: Effect.map(
      Effect.suspend(() => asked.status),
      ({ calls }) => (calls.length === 1 ? (calls[0]?.speakers ?? 0) : 0)
    )
  })
  yield* lead.want(room)
  yield* people.comes(["Ada", "Alan"])
  const part = yield* boot({ talk, url }, FewVoicesOfPart.program)
  // They know of each other after a second.
  yield* Effect.sleep("2 seconds")
  assert.strictEqual(talk.servicesIn(room), 1)
  yield* people.comes(["Bert", "Bo"])
  assert.strictEqual(talk.servicesIn(room), 2)
  yield* part.service.says("a part of a call is heard here")
  return {
    ...people,
    lead,
    part,
    /** Nothing of this machine is left but its address; the other one is asked from now on. */
    lose: (lost: typeof lead) => {
      asked = lost === lead ? part : lead
      lost.service.child.kill("SIGKILL")
    }
  }
})

layer(PostgresServer.layer, { excludeTestServices: true, timeout: "2 minutes" })("two machines", (it) => {
  it.effect(
    "share their calls; what one that dies ran the other one runs within the lease",
    () =>
      Effect.gen(function* () {
        const { query, url } = yield* PostgresServer
        const talk = yield* TalkSimulator.make()
        const machines = yield* Effect.all([boot({ talk, url }), boot({ talk, url })])
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
        // Lease, look, and a second: calm, 8 s.
        yield* SharedCalls.within(
          60,
          Effect.map(runBy(other), (count) => count === rooms.length)
        )
        yield* SharedCalls.within(60, isCaptioned(other))
        assert.isTrue(yield* Effect.map(other.unwant("room0"), (answer) => !answer.includes("error")))
      }),
    patience
  )

  it.effect(
    "hear one call in parts, which one of them captions; whom one that dies heard the other one hears",
    () =>
      Effect.gen(function* () {
        const { allHeard, assertAllOnce, lead, lose, part, sayAll, senders } = yield* divided
        /** Words that a machine's engine has heard. */
        const heardBy = ({ engine }: typeof lead) => new Set(engine.log().map(({ text }) => text)).size

        yield* sayAll
        assert.strictEqual(heardBy(lead), 2 * SaidAndRead.WORDS_AT_ONCE)
        assert.strictEqual(heardBy(part), 2 * SaidAndRead.WORDS_AT_ONCE)

        lose(part)
        // It has not answered for its lease and a second and a half.
        yield* lead.service.says("a part of the call is gone")
        yield* allHeard
        yield* sayAll
        assert.strictEqual(heardBy(lead), 6 * SaidAndRead.WORDS_AT_ONCE)
        assertAllOnce()
        assert.strictEqual(senders().length, 1)
      }).pipe(Standstill.played),
    patience
  )

  it.effect(
    "lose no word that one of them hears when the one dies that captions it",
    () =>
      Effect.gen(function* () {
        const { allHeard, assertAllOnce, everybody, isRead, lead, lose, part, say, sayAll } = yield* divided
        const bert = everybody[2]
        assert(bert !== undefined)
        const { speaking, words } = say(bert, 14)
        const telling = yield* Effect.forkChild(speaking)
        // His first word is not said yet.
        yield* Effect.sleep("200 millis")
        lose(lead)
        yield* Fiber.join(telling)
        yield* allHeard
        // A machine that is too busy to take the call in time hears them all anew.
        if (part.service.output().includes("the part of the call has ended")) return false
        yield* isRead(bert, words)
        yield* sayAll
        assertAllOnce()
        return true
      }).pipe(
        Standstill.played,
        Effect.repeat({ until: (wasInTime) => wasInTime, times: 2 }),
        Effect.map((wasInTime) => assert.isTrue(wasInTime))
      ),
    patience
  )
})
