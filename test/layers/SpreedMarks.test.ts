/** Marks that the HPB keeps for a call, and the one session of ours that has it keep them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope, Stream } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import * as SimulatedHpb from "../../src/layers/SimulatedHpb.ts"
import type { HpbVersion } from "../../src/layers/SimulatedProtocol.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import { Signaling, type SignalingSession } from "../../src/services/Signaling.ts"
import { eventually, features202, field, make as makeFake } from "../support/FakeHpb.ts"
import { joined, layerFor, listen } from "../support/SpreedListener.ts"

const secret = Redacted.make("internal-secret-for-tests")
const alice = SessionId.make("alice-session")
const say = (session: SignalingSession) =>
  session.sendTranscript(
    { _tag: "Session", session: alice },
    { message: "hello", langId: "en", speakerSessionId: alice, final: true }
  )

/** A call on the simulated HPB whose marks are kept, and how often its socket came back. */
const call = <A, E>(
  version: HpbVersion,
  test: (hpb: SimulatedHpb.SimulatedHpb, session: SignalingSession, resumed: () => number) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const hpb = yield* SimulatedHpb.make({
      port: 0,
      version,
      internalSecret: secret,
      resumeMs: 30_000,
      mcuTimeoutMs: 10_000
    })
    const layer = SpreedSignaling.layer({
      hpbUrl: `http://127.0.0.1:${hpb.port}`,
      internalSecret: secret,
      backendUrls: Effect.succeed(["https://cloud.example.com/"])
    })
    yield* Effect.gen(function* () {
      const session = yield* (yield* Signaling).join(RoomToken.make("room1"))
      let resumed = 0
      yield* session.events.pipe(
        Stream.runForEach(({ _tag }) =>
          Effect.sync(() => {
            if (_tag === "Resumed" || _tag === "Joined") resumed++
          })
        ),
        Effect.forkScoped
      )
      yield* eventually("joined", () => session.state()._tag === "Joined")
      yield* test(hpb, session, () => resumed)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

/** What the HPB says as soon as it keeps something; marking goes on until then. */
const kept = (session: SignalingSession) =>
  Effect.gen(function* () {
    session.mark(1)
    return yield* session.recall
  }).pipe(Effect.repeat({ until: (number) => number !== undefined }), Effect.timeout("60 seconds"))

describe("marks", () => {
  for (const version of ["1.2.4", "2.0.2"] as const) {
    it.live(`tell after a cut of all sockets how far the HPB had read (${version})`, () =>
      call(version, (hpb, session, resumed) =>
        Effect.gen(function* () {
          assert.isAtMost((yield* kept(session)) ?? Number.NaN, 1)
          for (const number of [7, 8, 9]) {
            const before = resumed()
            session.mark(number)
            assert.strictEqual(yield* session.recall, number)
            session.mark(number + 0.5)
            hpb.dropSockets()
            yield* eventually("dropped", () => session.state()._tag === "Dropped")
            session.mark(100)
            yield* eventually("resumed", () => resumed() > before)
            const found = yield* session.recall
            assert.include([number, number + 0.5], found)
          }
        })
      )
    )
  }

  it.live("are kept again by an HPB that has been restarted", () =>
    call("2.0.2", (hpb, session, resumed) =>
      Effect.gen(function* () {
        yield* kept(session)
        hpb.stop()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        hpb.start()
        yield* eventually("joined again", () => resumed() === 2)
        yield* Effect.suspend(() => {
          session.mark(7)
          return session.recall
        }).pipe(Effect.repeat({ until: (number) => number === 7 }), Effect.timeout("60 seconds"))
      })
    )
  )

  it.live("an HPB that cannot keep them is told none, and asked nothing", () =>
    Effect.gen(function* () {
      const hpb = yield* makeFake()
      yield* Effect.gen(function* () {
        const { session } = yield* joined()
        say(session)
        session.mark(1)
        assert.isUndefined(yield* session.recall)
        yield* eventually("the caption", () => hpb.ofType("message").length === 1)
        assert.deepStrictEqual(hpb.ofType("internal"), [])
        assert.strictEqual(hpb.clients.length, 1)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})

describe("the keeper", () => {
  it.live("sits in a room of its own, for all calls, until the last one ends", () =>
    Effect.gen(function* () {
      const hpb = yield* makeFake({ features: [...features202, "transient-data"] })
      const rooms = () => hpb.ofType("room").map((message) => String(field(message, "room", "roomid")))
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* joined().pipe(Scope.provide(scope))
        const { session: other } = yield* listen({ room: "room2" }).pipe(Scope.provide(scope))
        yield* eventually("both joined", () => other.state()._tag === "Joined")
        const begun = () =>
          hpb
            .ofType("internal")
            .map((message) => field(message, "internal", "dialout"))
            .filter((status) => field(status, "status", "message") === "0")
        yield* eventually("both calls have begun", () => begun().length === 2)
        assert.strictEqual(rooms().length, 3)
        const keeper = rooms().find((room) => room.startsWith("parlance-")) ?? ""
        assert.match(keeper, /^parlance-[0-9a-f]{32}$/)
        for (const status of begun()) assert.strictEqual(field(status, "roomid"), keeper)
        // Nothing tells which call it is.
        assert.notInclude(JSON.stringify(begun()), "room1")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(hpb.ofType("bye").length, 3)
        assert.isTrue(hpb.clients.every((client) => !client.isOpen()))
        const cleared = hpb.ofType("internal").filter((message) => {
          return field(message, "internal", "dialout", "status", "status") === "cleared"
        })
        assert.strictEqual(cleared.length, 2)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})
